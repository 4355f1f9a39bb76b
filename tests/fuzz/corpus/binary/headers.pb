 
X-RateLimit-Limit10, 10;w=60
:status200
content-length0

x-ackguardpass
x-splita
b: c