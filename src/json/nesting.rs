//! The containers that are open at a place of a text.

/// What values stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Object,
    Array,
}

/// The open containers, one bit each: a stack that cannot grow. Who opens one keeps it under
/// [`MAX_DEPTH`](super::MAX_DEPTH).
#[derive(Debug, Default)]
pub(super) struct Nesting {
    objects: u128,
    depth: u32,
}

impl Nesting {
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    pub(super) fn push(&mut self, container: Container) {
        self.objects = (self.objects << 1) | u128::from(container == Container::Object);
        self.depth += 1;
    }

    pub(super) fn pop(&mut self) {
        self.objects >>= 1;
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn top(&self) -> Option<Container> {
        match (self.depth, self.objects & 1) {
            (0, _) => None,
            (_, 1) => Some(Container::Object),
            _ => Some(Container::Array),
        }
    }
}
