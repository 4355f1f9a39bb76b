//! Blocks by themselves.

use proptest::prelude::*;

use super::*;
use crate::storage::partition::block::{BLOCK_BYTES, NoBlock, check};
use crate::storage::record::{self, Header, Kind};

const CODECS: [Codec; 3] = [Codec::None, Codec::Zstd, Codec::Snappy];

fn messages(body_bytes: &[usize]) -> Vec<Arc<Message>> {
    (0..).zip(body_bytes).map(|(id, &bytes)| message(id, bytes)).collect()
}

/// The record of this block with another payload, sealed again.
fn resealed(block: &Block, change: impl FnOnce(&mut Header, &mut Vec<u8>)) -> Bytes {
    let (mut header, payload) = record::open(block.record()).unwrap();
    let mut payload = payload.to_vec();
    change(&mut header, &mut payload);
    let mut record = vec![0; HEADER_BYTES];
    record.append(&mut payload);
    record::seal(&mut record, header);
    record.into()
}

#[test]
fn what_repeats_itself_takes_little_room_compressed() {
    let messages = messages(&[200; 100]);
    let length = |codec| Block::encode(Offset(0), &messages, codec, Timestamp(0)).record().len();
    assert!(length(Codec::Zstd) * 4 < length(Codec::None), "{}", length(Codec::Zstd));
    assert!(length(Codec::Snappy) * 2 < length(Codec::None), "{}", length(Codec::Snappy));
}

#[test]
fn a_block_is_taken_at_its_own_place_only() {
    let block = Block::encode(Offset(7), &messages(&[10, 20]), Codec::None, Timestamp(5));
    let open = |first| Block::open(block.record(), Offset(first));
    assert_eq!(open(7).unwrap().head(), block.head());
    assert!(matches!(open(8), Err(NoBlock::Place { expected: 8, found: 7 })));
    // The low half alone is in the record's header.
    assert!(matches!(open(7 + (1 << 32)), Err(NoBlock::First { found: Offset(7), .. })));
}

#[test]
fn a_checksum_that_is_right_does_not_make_a_block() {
    let block = Block::encode(Offset(7), &messages(&[10, 20]), Codec::None, Timestamp(5));
    let open = |change: fn(&mut Header, &mut Vec<u8>)| {
        Block::open(&resealed(&block, change), Offset(7)).and_then(|block| block.messages()).unwrap_err()
    };
    assert!(matches!(open(|header, _| header.kind = Kind::Journal), NoBlock::Kind(Kind::Journal)));
    assert!(matches!(open(|header, _| header.count = 0), NoBlock::Empty));
    assert!(matches!(open(|header, _| header.count = 3), NoBlock::Messages(_)));
    assert!(matches!(open(|header, _| header.count = 1), NoBlock::MessagesExcess(_)));
    assert!(matches!(open(|_, payload| payload.truncate(23)), NoBlock::Head));
    assert!(matches!(open(|_, payload| payload[19] = 0xff), NoBlock::Length(_)));
    assert!(matches!(open(|_, payload| payload[16] -= 1), NoBlock::Compression(_)));
    assert!(matches!(open(|header, _| header.codec = Codec::Zstd), NoBlock::Compression(_)));
    let followed = [block.record(), &b"xy"[..]].concat().into();
    assert!(matches!(Block::open(&followed, Offset(7)), Err(NoBlock::Excess(2))));
}

#[test]
fn messages_are_split_into_blocks_of_bounded_memory() {
    assert_eq!(split(&[]).count(), 0);
    let large = BLOCK_BYTES * 3;
    let all = messages(&[100, 200, large, large, 300, BLOCK_BYTES / 2, BLOCK_BYTES / 2]);
    let lengths: Vec<usize> = split(&all).map(<[_]>::len).collect();
    assert_eq!(lengths, [2, 1, 1, 2, 1]);
}

proptest! {
    #[test]
    fn what_was_encoded_is_read(
        body_bytes in prop::collection::vec(0..300_usize, 1..20),
        first in 0..1_u64 << 40,
        now in any::<u64>(),
    ) {
        let messages = messages(&body_bytes);
        for codec in CODECS {
            let block = Block::encode(Offset(first), &messages, codec, Timestamp(now));
            let opened = Block::open(block.record(), Offset(first)).unwrap();
            prop_assert!(opened.decoded().is_none());
            prop_assert_eq!(&*opened.messages().unwrap(), &messages[..]);
            prop_assert_eq!(opened.footprint(), block.footprint());
            let (head, used) = check(block.record(), Offset(first)).unwrap();
            prop_assert_eq!((head, used), (block.head(), codec));
            prop_assert_eq!(head.end(), Offset(first + messages.len() as u64));
            prop_assert_eq!(head.time, Timestamp(now));
            prop_assert_eq!(head.largest as usize, messages.iter().map(|message| message.size()).max().unwrap());
        }
    }

    #[test]
    fn splitting_keeps_all_in_order_and_each_block_within_bounds(
        body_bytes in prop::collection::vec(prop_oneof![0..1_000_usize, 0..2 * BLOCK_BYTES], 0..30),
    ) {
        let messages = messages(&body_bytes);
        let blocks: Vec<&[Arc<Message>]> = split(&messages).collect();
        prop_assert_eq!(&blocks.concat(), &messages);
        for block in &blocks {
            let bytes: usize = block.iter().map(|message| message.footprint()).sum();
            prop_assert!(block.len() == 1 || bytes <= BLOCK_BYTES);
        }
        for pair in blocks.windows(2) {
            let bytes: usize = pair.concat().iter().map(|message| message.footprint()).sum();
            prop_assert!(bytes > BLOCK_BYTES, "two neighbours fit into one block");
        }
    }
}
