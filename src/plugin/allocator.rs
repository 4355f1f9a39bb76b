//! The filter's allocator. The SDK makes two allocations for each header that it hands over, the host one for each call that
//! returns bytes: with the standard library's allocator for WebAssembly they were half of the filter's own instructions.
//!
//! TLSF takes the same few instructions for every size, and never searches. It does not join memory that it was given at
//! different times, which bounds here hold small: what grows beyond a page are bodies, pieces of answers and policies, of
//! some hundred KiB each.

use rlsf::SmallGlobalTlsf;

#[global_allocator]
static ALLOCATOR: SmallGlobalTlsf = SmallGlobalTlsf::new();
