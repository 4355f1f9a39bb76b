-- What AckGuard checks, as well as Lua in Envoy can: ack timeouts of subscribes and pulls that are zero, short or long,
-- found by pattern and clamped; a token bucket by tenant for each worker; counters.
local MIN, MAX, DEFAULT = 5000, 30000, 10000
local RATE, BURST = 1000000, 1000000

local find, match, sub = string.find, string.match, string.sub
local buckets, counts = {}, {}

local function count(name)
  counts[name] = (counts[name] or 0) + 1
end

local function admit(tenant, now)
  local bucket = buckets[tenant]
  if bucket == nil then
    bucket = { tokens = BURST, at = now }
    buckets[tenant] = bucket
  end
  local tokens = bucket.tokens + (now - bucket.at) * RATE / 1000
  if tokens > BURST then tokens = BURST end
  bucket.at = now
  if tokens < 1 then
    bucket.tokens = tokens
    return false
  end
  bucket.tokens = tokens - 1
  return true
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  if sub(path, 1, 8) ~= "/tmq/v1/" then return end
  local tenant = headers:get("x-dingtalk-mq-appkey") or ""
  if not admit(tenant, handle:timestamp()) then
    count("limited")
    handle:respond({ [":status"] = "429" }, '{"code":"Throttled"}')
    return
  end
  local operation
  if find(path, ":ack", -4, true) then operation = "ack"
  elseif find(path, ":pull", -5, true) then operation = "pull"
  elseif match(path, "^/tmq/v1/groups/[^/]+/consumers$") then operation = "subscribe"
  elseif match(path, "^/tmq/v1/topics/[^/]+/messages$") then operation = "publish"
  else operation = "other" end
  count(operation)
  if operation ~= "pull" and operation ~= "subscribe" then return end
  local body = handle:body()
  if body == nil then return end
  local text = body:getBytes(0, body:length())
  local from, to, value = find(text, '"ackTimeout"%s*:%s*()%-?%d+')
  if from == nil then return end
  local old = tonumber(sub(text, value, to))
  local new = old
  if old == 0 then new = DEFAULT; count("zero")
  elseif old < MIN then new = MIN; count("short")
  elseif old > MAX then new = MAX; count("long") end
  if new == old then return end
  local length = body:setBytes(sub(text, 1, value - 1) .. new .. sub(text, to + 1))
  headers:replace("content-length", length)
end
