//! The ports of a stack that is left running.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The ports of a stack, all on 127.0.0.1; 0 is any free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The guarded gateway.
    pub gateway: u16,
    /// The same gateway without AckGuard.
    pub bare: u16,
    /// Envoy's admin.
    pub envoy_admin: u16,
    /// The broker.
    pub broker: u16,
    /// The broker's admin.
    pub broker_admin: u16,
}

/// A port that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Something else listens there.
    #[error("port {port} of the {service} is in use: end what listens there, or set {variable} to another port")]
    InUse {
        /// The port.
        port: u16,
        /// Whose it is to be.
        service: &'static str,
        /// The environment variable that sets it.
        variable: &'static str,
    },
    /// Two services are to have the same port.
    #[error(
        "port {port} is both the {}'s and the {}'s: set {} or {} to another port",
        .services[0], .services[1], .variables[0], .variables[1]
    )]
    Shared {
        /// The port.
        port: u16,
        /// Whose it is to be.
        services: [&'static str; 2],
        /// The environment variables that set it.
        variables: [&'static str; 2],
    },
    /// The environment names no port.
    #[error("{variable}={value} is not a port: expected 1 to 65535")]
    Invalid {
        /// The environment variable.
        variable: &'static str,
        /// What it holds.
        value: String,
    },
}

/// Each port's service, environment variable and default, in the order of [`Ports`]' fields.
const SERVICES: [(&str, &str, u16); 5] = [
    ("guarded gateway", "ACKGUARD_GATEWAY_PORT", 10000),
    ("bare gateway", "ACKGUARD_BARE_PORT", 10001),
    ("Envoy admin", "ACKGUARD_ENVOY_ADMIN_PORT", 9901),
    ("broker", "ACKGUARD_BROKER_PORT", 8080),
    ("broker admin", "ACKGUARD_BROKER_ADMIN_PORT", 8081),
];

impl Ports {
    /// Free ports, chosen by the system as each service starts.
    pub const EPHEMERAL: Self = Self { gateway: 0, bare: 0, envoy_admin: 0, broker: 0, broker_admin: 0 };

    /// The ports that the environment names, or their defaults, as `lookup` finds the variables.
    ///
    /// # Errors
    /// [`PortError::Invalid`] where a variable holds something else.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, PortError> {
        let read = |(_, variable, default): (&str, &'static str, u16)| match lookup(variable) {
            None => Ok(default),
            Some(value) => match value.parse() {
                Ok(port) if port != 0 => Ok(port),
                _ => Err(PortError::Invalid { variable, value }),
            },
        };
        let [gateway, bare, envoy_admin, broker, broker_admin] = SERVICES;
        Ok(Self {
            gateway: read(gateway)?,
            bare: read(bare)?,
            envoy_admin: read(envoy_admin)?,
            broker: read(broker)?,
            broker_admin: read(broker_admin)?,
        })
    }

    /// Makes sure that no two are the same, and that nothing listens at any of them. Envoy shares its ports (`SO_REUSEPORT`), so a second one would
    /// start and take half of the traffic.
    ///
    /// # Errors
    /// [`PortError::Shared`] or [`PortError::InUse`] for the first that cannot be used.
    pub fn check_free(&self) -> Result<(), PortError> {
        let numbers = self.numbers();
        for (place, ((service, variable, _), port)) in SERVICES.into_iter().zip(numbers).enumerate() {
            let earlier = SERVICES.into_iter().zip(numbers).take(place).find(|(_, other)| port != 0 && *other == port);
            if let Some(((other, other_variable, _), _)) = earlier {
                let (services, variables) = ([other, service], [other_variable, variable]);
                return Err(PortError::Shared { port, services, variables });
            }
            if TcpListener::bind(local(port)).is_err() {
                return Err(PortError::InUse { port, service, variable });
            }
        }
        Ok(())
    }

    fn numbers(&self) -> [u16; 5] {
        [self.gateway, self.bare, self.envoy_admin, self.broker, self.broker_admin]
    }
}

/// `port` of this machine alone.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_sets_a_port_and_the_others_keep_their_defaults() {
        let ports = Ports::from_env(|name| (name == "ACKGUARD_BARE_PORT").then(|| "12345".to_owned())).unwrap();
        let expected = Ports { gateway: 10000, bare: 12345, envoy_admin: 9901, broker: 8080, broker_admin: 8081 };
        assert_eq!(ports, expected);
    }

    #[test]
    fn what_is_no_port_is_refused_by_name_and_value() {
        for value in ["", "0", "65536", "http", "-1"] {
            let refused = Ports::from_env(|name| (name == "ACKGUARD_BROKER_PORT").then(|| value.to_owned()));
            let expected = PortError::Invalid { variable: "ACKGUARD_BROKER_PORT", value: value.to_owned() };
            assert_eq!(refused, Err(expected));
        }
    }

    #[test]
    fn a_port_of_two_services_is_named_with_both() {
        let probe = TcpListener::bind(local(0)).unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        let error = Ports { bare: port, broker_admin: port, ..Ports::EPHEMERAL }.check_free().unwrap_err();
        let expected = format!(
            "port {port} is both the bare gateway's and the broker admin's: \
             set ACKGUARD_BARE_PORT or ACKGUARD_BROKER_ADMIN_PORT to another port"
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_taken_port_is_named_with_the_variable_that_moves_it() {
        let taken = TcpListener::bind(local(0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Ports { envoy_admin: port, ..Ports::EPHEMERAL }.check_free().unwrap_err();
        assert_eq!(error, PortError::InUse { port, service: "Envoy admin", variable: "ACKGUARD_ENVOY_ADMIN_PORT" });
        assert_eq!(Ports::EPHEMERAL.check_free(), Ok(()));
    }
}
