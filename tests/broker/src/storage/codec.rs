//! How batches of messages are compressed, on the wire and at rest.
//!
//! Zstandard is any number of frames, one after the other, with or without their size stated (RFC 8878); snappy is its
//! block format. What comes from the wire or the disk is not believed: nothing is allocated beyond the limit that the
//! caller sets and, for zstd, a window of 8 MiB.

use std::cell::RefCell;
use std::io;

use serde::{Deserialize, Serialize};
use zstd::bulk::Compressor;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::get_frame_content_size;

/// The level of zstd. On batches of 1, 16 and 500 orders of some 180 bytes, level 3 takes 6 to 20 % longer and saves
/// nothing.
const ZSTD_LEVEL: i32 = 1;

/// The largest window of a zstd frame, as a power of two: the 8 MiB that RFC 8878 asks every decoder to support and
/// that RFC 9659 makes the most for HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The first room for what a zstd frame without a stated size holds, in bytes; doubled as it fills.
const ZSTD_FIRST_ROOM: usize = 64 << 10;

/// What a byte of snappy's block format can make at most: a copy takes three bytes for 64, and shorter ones make less.
const SNAPPY_EXPANSION: usize = 64 / 3 + 1;

/// A compression. The producer chooses it with the `Content-Encoding` of its publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Codec {
    #[default]
    None,
    Zstd,
    Snappy,
}

/// Why bytes could not be brought back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecompressError {
    /// They would be longer than the limit.
    #[error("decompressed, it is larger than {limit} bytes")]
    TooLarge { limit: usize },
    /// They are not of this compression.
    #[error("it is not {codec:?}: {reason}")]
    Malformed { codec: Codec, reason: String },
}

impl Codec {
    /// The bytes in this compression, ready for [`Self::decompress`].
    ///
    /// # Panics
    /// If memory runs out, as any allocation, or if the bytes are more than the 4 GiB that snappy can count.
    pub(crate) fn compress(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::Zstd => COMPRESSOR.with_borrow_mut(|compressor| {
                compressor.compress(bytes).expect("zstd compresses whatever it has memory for")
            }),
            Self::Snappy => {
                snap::raw::Encoder::new().compress_vec(bytes).expect("snappy compresses whatever is below 4 GiB")
            }
        }
    }

    /// What the bytes were before they were compressed, at most `limit` bytes of it.
    pub(crate) fn decompress(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
        match self {
            Self::None if bytes.len() > limit => Err(DecompressError::TooLarge { limit }),
            Self::None => Ok(bytes.to_vec()),
            Self::Zstd => decompress_zstd(bytes, limit),
            Self::Snappy => decompress_snappy(bytes, limit),
        }
    }

    fn malformed(self, reason: impl ToString) -> DecompressError {
        DecompressError::Malformed { codec: self, reason: reason.to_string() }
    }

    /// The number that a record's header has for this compression.
    pub(crate) fn flag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd => 1,
            Self::Snappy => 2,
        }
    }

    /// The compression of a record's header.
    pub(crate) fn of_flag(flag: u8) -> Option<Self> {
        [Self::None, Self::Zstd, Self::Snappy].into_iter().find(|codec| codec.flag() == flag)
    }
}

// Kept for each thread: to set one up takes longer (8 µs) than it takes with a small batch (3 to 6 µs).
thread_local! {
    static COMPRESSOR: RefCell<Compressor<'static>> =
        RefCell::new(Compressor::new(ZSTD_LEVEL).expect("there is memory for a compressor"));
    static DECODER: RefCell<Decoder<'static>> = RefCell::new(Decoder::new().expect("there is memory for a decoder"));
}

fn decompress_zstd(bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let stated = get_frame_content_size(bytes).map_err(|_| Codec::Zstd.malformed("it does not begin with a frame"))?;
    let room = match stated {
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
        None => ZSTD_FIRST_ROOM.min(limit),
    };
    if room > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    DECODER.with_borrow_mut(|decoder| decode_frames(decoder, bytes, Vec::with_capacity(room), limit))
}

/// Fills `output` with what all the frames hold.
fn decode_frames(
    decoder: &mut Decoder<'_>,
    bytes: &[u8],
    mut output: Vec<u8>,
    limit: usize,
) -> Result<Vec<u8>, DecompressError> {
    let malformed = |error: io::Error| Codec::Zstd.malformed(error);
    decoder.reinit().map_err(malformed)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(malformed)?;
    let mut input = InBuffer::around(bytes);
    loop {
        let filled = output.len();
        let missing = decoder.run(&mut input, &mut OutBuffer::around_pos(&mut output, filled)).map_err(malformed)?;
        let read = input.pos() == bytes.len();
        if output.len() > limit {
            return Err(DecompressError::TooLarge { limit });
        }
        if missing == 0 && read {
            return Ok(output);
        }
        if output.len() == output.capacity() {
            // One byte beyond the limit tells what is too large from what just fits.
            let room = output.len().saturating_mul(2).max(ZSTD_FIRST_ROOM).min(limit.saturating_add(1));
            output.reserve_exact(room - output.len());
        } else if missing > 0 && read {
            return Err(Codec::Zstd.malformed("it is cut short"));
        }
    }
}

fn decompress_snappy(bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let malformed = |error| Codec::Snappy.malformed(error);
    let stated = snap::raw::decompress_len(bytes).map_err(malformed)?;
    if stated > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    if stated / SNAPPY_EXPANSION > bytes.len() {
        return Err(Codec::Snappy.malformed(format!("{} bytes cannot make the stated {stated}", bytes.len())));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    const CODECS: [Codec; 3] = [Codec::None, Codec::Zstd, Codec::Snappy];

    /// What a stream encoder writes: it states no size, unless all the bytes come at once.
    fn streamed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A zstd frame of one block that repeats one byte, with the window descriptor given.
    fn repeated(window: u8, count: u32) -> Vec<u8> {
        // The magic number; no stated size, no checksum, a window; the last block, of the kind that repeats a byte.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
        frame.extend_from_slice(&(count << 3 | 0b011).to_le_bytes()[..3]);
        frame.push(b'x');
        frame
    }

    /// Text that repeats itself, as messages do, and noise.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let text = prop::collection::vec("[a-d]{1,20}", 0..400).prop_map(|words| words.concat().into_bytes());
        prop_oneof![text, prop::collection::vec(any::<u8>(), 0..4_000)]
    }

    #[test]
    fn a_bomb_is_refused_whether_or_not_it_states_its_size() {
        let limit = 1 << 20;
        let zeros = vec![0; limit + 1];
        assert_eq!(get_frame_content_size(&streamed(&zeros)).unwrap(), None);
        let bombs = [
            (Codec::Zstd, Codec::Zstd.compress(&zeros)),
            (Codec::Zstd, streamed(&zeros)),
            (Codec::Zstd, [Codec::Zstd.compress(&zeros[1..]), Codec::Zstd.compress(&zeros[..1])].concat()),
            (Codec::Snappy, Codec::Snappy.compress(&zeros)),
            (Codec::None, zeros.clone()),
        ];
        for (codec, bomb) in bombs {
            assert!(matches!(codec.decompress(&bomb, limit), Err(DecompressError::TooLarge { .. })), "{codec:?}");
            assert!(codec.decompress(&bomb, limit + 1).unwrap() == zeros, "{codec:?}");
        }
    }

    #[test]
    fn a_stated_size_is_refused_before_room_is_made_for_it() {
        // 2^60 bytes: making room for them would end the process.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
        frame.extend_from_slice(&(1_u64 << 60).to_le_bytes());
        assert!(matches!(Codec::Zstd.decompress(&frame, 1 << 20), Err(DecompressError::TooLarge { .. })));
        let length = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(Codec::Snappy.decompress(&length, 1 << 20), Err(DecompressError::TooLarge { .. })));
    }

    #[test]
    fn a_length_of_snappy_that_its_bytes_cannot_make_is_malformed() {
        let stated_4_mib = [0x80, 0x80, 0x80, 0x02, 0x00, b'x'];
        let error = Codec::Snappy.decompress(&stated_4_mib, 4 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it is not Snappy: 6 bytes cannot make the stated 4194304");
        // The longest copies there are stay below that bound.
        let zeros = vec![0; 1 << 20];
        assert!(Codec::Snappy.decompress(&Codec::Snappy.compress(&zeros), 1 << 20).unwrap() == zeros);
    }

    #[test]
    fn a_zstd_window_is_at_most_8_mib() {
        // The descriptor's upper five bits are the window's power of two above 10.
        assert_eq!(Codec::Zstd.decompress(&repeated(13 << 3, 9), 100).unwrap(), b"xxxxxxxxx");
        for window in [14 << 3, 31 << 3 | 7] {
            let error = Codec::Zstd.decompress(&repeated(window, 9), 100).unwrap_err();
            assert!(matches!(error, DecompressError::Malformed { .. }), "{error}");
        }
    }

    #[test]
    fn a_record_may_be_larger_than_the_window() {
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        assert!(Codec::Zstd.decompress(&Codec::Zstd.compress(&bytes), bytes.len()).unwrap() == bytes);
    }

    #[test]
    fn nothing_is_no_frame_and_no_block() {
        for codec in [Codec::Zstd, Codec::Snappy] {
            assert!(matches!(codec.decompress(b"", 100), Err(DecompressError::Malformed { .. })), "{codec:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes in content(), spare in 0_usize..2) {
            for codec in CODECS {
                let compressed = codec.compress(&bytes);
                prop_assert_eq!(&codec.decompress(&compressed, bytes.len() + spare).unwrap(), &bytes);
                if let Some(limit) = bytes.len().checked_sub(1) {
                    let refused = codec.decompress(&compressed, limit);
                    prop_assert!(matches!(refused, Err(DecompressError::TooLarge { .. })), "{:?}", codec);
                }
            }
        }

        #[test]
        fn frames_follow_one_another_with_or_without_a_stated_size(parts in prop::collection::vec(content(), 1..4)) {
            let frames: Vec<u8> = parts
                .iter()
                .enumerate()
                .flat_map(|(index, part)| if index % 2 == 0 { streamed(part) } else { Codec::Zstd.compress(part) })
                .collect();
            let whole = parts.concat();
            prop_assert_eq!(Codec::Zstd.decompress(&frames, whole.len()).unwrap(), whole);
        }

        #[test]
        fn what_is_cut_short_is_malformed(bytes in content(), at in any::<prop::sample::Index>()) {
            for (codec, compressed) in [
                (Codec::Zstd, Codec::Zstd.compress(&bytes)),
                (Codec::Zstd, streamed(&bytes)),
                (Codec::Snappy, Codec::Snappy.compress(&bytes)),
            ] {
                let cut = codec.decompress(&compressed[..at.index(compressed.len())], bytes.len());
                prop_assert!(matches!(cut, Err(DecompressError::Malformed { .. })), "{:?} {:?}", codec, cut);
            }
        }

        #[test]
        fn whatever_the_bytes_the_limit_is_kept(
            bytes in content(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
            noise in prop::collection::vec(any::<u8>(), 0..300),
            limit in 0_usize..5_000,
        ) {
            for codec in CODECS {
                for mut compressed in [codec.compress(&bytes), streamed(&bytes)] {
                    for (at, value) in &changes {
                        let at = at.index(compressed.len().max(1));
                        compressed.get_mut(at).into_iter().for_each(|byte| *byte = *value);
                    }
                    for hostile in [&compressed[..], &noise[..], &[&compressed[..], &noise[..]].concat()[..]] {
                        if let Ok(output) = codec.decompress(hostile, limit) {
                            prop_assert!(output.len() <= limit);
                        }
                    }
                }
            }
        }
    }
}
