//! The messages of `envoy.service.ratelimit.v3`, the fields that are used. They are written down apart from the filter's
//! own: a number that is wrong on one side is found by the other.

use prost::{Enumeration, Message};

/// A question.
#[derive(Clone, PartialEq, Message)]
pub struct RateLimitRequest {
    /// Which limits are meant.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// What is counted; the request is over the limit if one of them is.
    #[prost(message, repeated, tag = "2")]
    pub descriptors: Vec<Descriptor>,
    /// What each costs that says nothing itself; 0 is 1.
    #[prost(uint32, tag = "3")]
    pub hits_addend: u32,
}

/// What is counted.
#[derive(Clone, PartialEq, Message)]
pub struct Descriptor {
    /// Its pairs.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
    /// What it costs, a `google.protobuf.UInt64Value`.
    #[prost(message, optional, tag = "3")]
    pub hits_addend: Option<u64>,
}

/// A pair.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An answer.
#[derive(Clone, PartialEq, Message)]
pub struct RateLimitResponse {
    /// Of the request.
    #[prost(enumeration = "Code", tag = "1")]
    pub overall_code: i32,
    /// Of each descriptor, in their order.
    #[prost(message, repeated, tag = "2")]
    pub statuses: Vec<DescriptorStatus>,
    /// For the response to the client.
    #[prost(message, repeated, tag = "3")]
    pub response_headers_to_add: Vec<HeaderValue>,
}

/// Whether there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Code {
    /// Nobody knows.
    Unknown = 0,
    /// There is.
    Ok = 1,
    /// There is not.
    OverLimit = 2,
}

/// What became of a descriptor.
#[derive(Clone, PartialEq, Message)]
pub struct DescriptorStatus {
    /// Whether there is room.
    #[prost(enumeration = "Code", tag = "1")]
    pub code: i32,
    /// The limit.
    #[prost(message, optional, tag = "2")]
    pub current_limit: Option<RateLimit>,
    /// What is left of it.
    #[prost(uint32, tag = "3")]
    pub limit_remaining: u32,
    /// When it begins anew.
    #[prost(message, optional, tag = "4")]
    pub duration_until_reset: Option<Duration>,
}

/// A limit.
#[derive(Clone, PartialEq, Message)]
pub struct RateLimit {
    /// How much.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    /// In which time.
    #[prost(enumeration = "Unit", tag = "2")]
    pub unit: i32,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
}

/// A limit's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Unit {
    /// None of the others.
    Unknown = 0,
    /// A second.
    Second = 1,
    /// A minute.
    Minute = 2,
    /// An hour.
    Hour = 3,
    /// A day.
    Day = 4,
}

/// A `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// The rest, in nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// A header.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}
