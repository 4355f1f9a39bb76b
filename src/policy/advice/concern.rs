//! The kinds of advice, each with a code that tools may rely on.

use core::fmt;

/// What is unwise at one place of a document, what follows from it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// An earlier rule fits everything that this one fits.
    HiddenRule {
        /// The earlier rule's name.
        by: String,
    },
    /// An earlier entry of `traffic` fits everything that this one fits.
    HiddenTraffic {
        /// The earlier entry's index.
        by: usize,
    },
    /// A rule holds requests to what they would be held to without it.
    IdleRule {
        /// The name of what would decide without it.
        without: String,
    },
    /// A rule or a limit asks for a tenant and nothing tells who the tenant is.
    NoTenantSource,
    /// An ack timeout of zero passes.
    ZeroAllowed,
    /// Acknowledgement at delivery passes.
    AutoAckAllowed,
    /// A subscription needs no dead-letter topic.
    DeadLetterOptional,
    /// A required dead-letter topic may be absent all the same.
    DeadLetterMissing,
    /// All dead letters go to one topic.
    DeadLetterShared {
        /// The topic.
        topic: String,
    },
    /// Attempts out of bounds pass.
    AttemptsAllowed,
    /// What cannot be read passes.
    UndecidableForwarded,
    /// The longest ack timeout is longer than any lease.
    WideAckTimeout {
        /// The longest ack timeout, as a person writes it.
        max: String,
    },
    /// A limit counts publishes by their consumer group.
    NoGroup,
    /// A limit's bucket holds less than usual requests cost.
    SmallBurst {
        /// What it holds.
        burst: u64,
        /// What they cost.
        usual: u64,
        /// What is counted.
        cost: &'static str,
    },
    /// The whole document only watches.
    Shadow,
    /// The roll-out's last stage does not reach everybody.
    PartialRollout,
    /// A stage of the roll-out adds nobody.
    IdleStage {
        /// The earlier stage's index that added all of them.
        by: usize,
    },
    /// A stage of the roll-out is over before its health is known.
    ShortHold {
        /// How long it is held.
        hold: String,
        /// How far back its health is looked at.
        window: String,
    },
    /// The roll-out's health is judged by nothing.
    NoSamples,
    /// The roll-out's candidate holds everybody to what holds already.
    IdleCandidate,
    /// The roll-out brings in what only watches.
    ShadowRollout,
}

/// Gives every concern its code, and lists the codes.
macro_rules! codes {
    ($($kind:ident => $code:literal,)*) => {
        /// Every code that [`Concern::code`] returns.
        pub const CODES: &[&str] = &[$($code),*];

        /// The name of this concern, the same in every release.
        pub fn code(&self) -> &'static str {
            match self {
                $(Concern::$kind { .. } => $code,)*
            }
        }
    };
}

impl Concern {
    codes! {
        HiddenRule => "hidden-rule",
        HiddenTraffic => "hidden-traffic",
        IdleRule => "idle-rule",
        NoTenantSource => "no-tenant-source",
        ZeroAllowed => "zero-allowed",
        AutoAckAllowed => "auto-ack-allowed",
        DeadLetterOptional => "dead-letter-optional",
        DeadLetterMissing => "dead-letter-missing",
        DeadLetterShared => "dead-letter-shared",
        AttemptsAllowed => "attempts-allowed",
        UndecidableForwarded => "undecidable-forwarded",
        WideAckTimeout => "wide-ack-timeout",
        NoGroup => "no-group",
        SmallBurst => "small-burst",
        Shadow => "shadow",
        PartialRollout => "partial-rollout",
        IdleStage => "idle-stage",
        ShortHold => "short-hold",
        NoSamples => "no-samples",
        IdleCandidate => "idle-candidate",
        ShadowRollout => "shadow-rollout",
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Concern::HiddenRule { by } => write!(
                f,
                "never decides: the earlier rule \"{by}\" matches all that it matches; move it before that one, or \
                 remove it"
            ),
            Concern::HiddenTraffic { by } => write!(
                f,
                "never reads a request: traffic[{by}] matches all that it matches; move it before that one, or remove it"
            ),
            Concern::IdleRule { without } => write!(
                f,
                "changes nothing: without it, {without} would hold the same requests to the same; set what it is for, \
                 or remove it"
            ),
            Concern::NoTenantSource => f.write_str(
                "asks for a tenant, and the policy names no source of one, so that everybody is \"anonymous\"; name a \
                 header or a property in `tenant`",
            ),
            Concern::ZeroAllowed => f.write_str(
                "lets an ack timeout of 0 pass, which brokers read as failed at once: its messages are lost; clamp or \
                 reject it",
            ),
            Concern::AutoAckAllowed => f.write_str(
                "lets consumers acknowledge at delivery: what they fail to do is never delivered again; reject or \
                 rewrite it",
            ),
            Concern::DeadLetterOptional => f.write_str(
                "asks for no dead-letter topic: a message whose attempts run out is gone without one; require it",
            ),
            Concern::DeadLetterMissing => f.write_str(
                "lets a subscription without a dead-letter topic pass, as if none were required; inject or reject",
            ),
            Concern::DeadLetterShared { topic } => write!(
                f,
                "sends all dead letters to {topic}, whatever their topic and group; use {{topic}} or {{group}} in the \
                 name"
            ),
            Concern::AttemptsAllowed => {
                f.write_str("lets any number of attempts pass, so that its bounds bound nothing; clamp or reject")
            }
            Concern::UndecidableForwarded => f.write_str(
                "lets what cannot be read pass: a body that is malformed, or over 256 KiB, gets round every guard; \
                 reject it",
            ),
            Concern::WideAckTimeout { max } => write!(
                f,
                "lets a message be out of sight for {max} before it is delivered again, longer than the longest lease \
                 of SQS, 12h; lower it"
            ),
            Concern::NoGroup => f.write_str(
                "counts by group, and a publish names none, so that all publishes share one bucket; give them a limit of \
                 their own",
            ),
            Concern::SmallBurst { burst, usual, cost } => write!(
                f,
                "holds at most {burst} {cost}, and requests of {usual} are usual: what costs more than the burst never \
                 passes; raise it"
            ),
            Concern::PartialRollout => f.write_str(
                "ends before everybody is reached: the rest stays with the old rules for good; end with percent: 100",
            ),
            Concern::IdleStage { by } => {
                write!(f, "adds nobody whom stages[{by}] has not reached already; raise its percent, or remove it")
            }
            Concern::ShortHold { hold, window } => write!(
                f,
                "is over after {hold}, before the health of its window of {window} can be known; hold it longer, or \
                 narrow the window"
            ),
            Concern::NoSamples => f.write_str(
                "judges health by no acks at all, so that a stage without traffic counts as healthy; ask for some",
            ),
            Concern::IdleCandidate => f.write_str(
                "holds everybody to what the document holds them to already; say what is to change, or remove the \
                 roll-out",
            ),
            Concern::ShadowRollout => f.write_str(
                "brings in rules that only watch, so that no stage changes a request; set mode: enforce in the \
                 candidate, or shadow the stages alone",
            ),
            Concern::Shadow => {
                f.write_str("judges and counts, and changes no request; enforce it once the counts are as wanted")
            }
        }
    }
}
