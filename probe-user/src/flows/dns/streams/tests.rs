use proptest::prelude::*;

use super::*;

const COOKIE: u64 = 7;

fn header(sequence: u32, length: usize, at: u64) -> MessageHeader {
    MessageHeader {
        time_ns: at,
        latency_ns: 0,
        cgroup: 1,
        cookie: COOKIE,
        local: [0; 16],
        remote: [0; 16],
        local_port: 40_000,
        remote_port: 53,
        ip_version: 4,
        flags: SENT | probe_common::dns::OVER_TCP,
        length: u16::try_from(length).unwrap(),
        captured: u16::try_from(length).unwrap(),
        pad: 0,
        sequence,
    }
}

/// A question without more, of so many bytes.
fn question(id: u16, length: usize) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let mut bytes = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend((bytes.len()..length).map(|at| at as u8));
    bytes
}

fn stream(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = messages.iter().flat_map(|message| {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        length.into_iter().chain(message.iter().copied())
    });
    framed.collect()
}

/// Feeds parts of the stream, each given by where it begins and ends.
fn read(first: u32, whole: &[u8], parts: &[(usize, usize)]) -> (Vec<Vec<u8>>, bool) {
    let mut streams = Streams::new();
    let mut found = Vec::new();
    let mut has_gap = false;
    for (at, (from, to)) in parts.iter().enumerate() {
        let sequence = first.wrapping_add(u32::try_from(*from).unwrap());
        let brought = streams
            .on_segment(&header(sequence, to - from, at as u64), &whole[*from..*to])
            .unwrap();
        has_gap |= brought.has_gap;
        found.extend(brought.messages.into_iter().map(|it| it.bytes));
    }
    (found, has_gap)
}

/// The stream cut at these places.
fn cut(length: usize, mut at: Vec<usize>) -> Vec<(usize, usize)> {
    at.extend([0, length]);
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

#[test]
fn a_length_that_is_sent_apart_belongs_to_what_follows() {
    let messages = [question(1, 40)];
    let whole = stream(&messages);
    let (found, has_gap) = read(u32::MAX - 1, &whole, &[(0, 2), (2, 42)]);
    assert_eq!((found.as_slice(), has_gap), (&messages[..], false));
}

#[test]
fn a_segment_may_hold_several_messages() {
    let messages = [question(1, 40), question(2, 12), question(3, 900)];
    let whole = stream(&messages);
    let (found, has_gap) = read(5, &whole, &[(0, whole.len())]);
    assert_eq!((found.as_slice(), has_gap), (&messages[..], false));
}

#[test]
fn a_connection_that_was_there_before_is_read_from_the_next_message_on() {
    let messages = [question(1, 400), question(2, 40)];
    let whole = stream(&messages);
    let (found, has_gap) = read(5, &whole, &[(100, 402), (402, whole.len())]);
    assert_eq!((found.as_slice(), has_gap), (&messages[1..], true));
}

#[test]
fn what_was_not_captured_is_skipped_by_the_length_that_is_known() {
    let messages = [question(1, 400), question(2, 40)];
    let whole = stream(&messages);
    let mut streams = Streams::new();
    let mut first = header(0, 402, 0);
    first.captured = 100;
    let brought = streams.on_segment(&first, &whole[..100]).unwrap();
    assert_eq!((brought.messages.len(), brought.has_gap), (1, false));
    assert_eq!(
        (brought.messages[0].bytes.len(), brought.messages[0].length),
        (98, 400)
    );
    let rest = streams
        .on_segment(&header(402, whole.len() - 402, 1), &whole[402..])
        .unwrap();
    assert_eq!(rest.messages[0].bytes, messages[1]);
}

#[test]
fn a_segment_that_never_comes_is_given_up_and_the_rest_goes_on() {
    let messages = [question(1, 40), question(2, 40), question(3, 40)];
    let whole = stream(&messages);
    let mut streams = Streams::new();
    let first = streams.on_segment(&header(0, 42, 0), &whole[..42]).unwrap();
    assert_eq!(first.messages.len(), 1);
    let third = streams
        .on_segment(&header(84, 42, 1), &whole[84..])
        .unwrap();
    assert_eq!(third, Brought::default());
    assert!(streams.expire(Duration::from_secs(1)).is_empty());
    let found = streams.expire(Duration::from_secs(3));
    let [(header, brought)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(header.cookie, COOKIE);
    assert!(brought.has_gap);
    assert_eq!(brought.messages[0].bytes, messages[2]);
}

#[test]
fn a_connection_that_closes_or_rests_leaves_its_room() {
    let whole = stream(&[question(1, 40)]);
    let mut streams = Streams::new();
    let mut last = header(0, 42, 0);
    last.flags |= CLOSES;
    assert_eq!(streams.on_segment(&last, &whole).unwrap().messages.len(), 1);
    assert!(streams.streams.is_empty() && streams.shares.is_empty());
    streams.on_segment(&header(0, 42, 0), &whole).unwrap();
    streams.expire(IDLE + Duration::from_secs(1));
    assert!(streams.streams.is_empty() && streams.shares.is_empty());
}

#[test]
fn one_cgroup_leaves_room_for_the_connections_of_another_one() {
    let whole = stream(&[question(1, 40)]);
    let mut streams = Streams::new();
    let mut refused = 0;
    for cookie in 0..2 * STREAMS as u64 {
        let header = MessageHeader {
            cookie,
            ..header(0, 42, 0)
        };
        refused += usize::from(streams.on_segment(&header, &whole).is_none());
    }
    assert!(refused > STREAMS, "{refused}");
    let other = MessageHeader {
        cgroup: 2,
        cookie: u64::MAX,
        ..header(0, 42, 0)
    };
    assert_eq!(
        streams.on_segment(&other, &whole).unwrap().messages.len(),
        1
    );
}

proptest! {
    #[test]
    fn any_segments_give_the_same_messages(
        lengths in prop::collection::vec(12_usize..300, 1..8),
        places in prop::collection::vec(0_usize..2000, 0..20),
        first: u32,
        again in prop::collection::vec(0_usize..20, 0..6),
        swaps in prop::collection::vec(0_usize..20, 0..8),
    ) {
        let messages: Vec<_> = (0_u16..).zip(&lengths).map(|(id, length)| question(id, *length)).collect();
        let whole = stream(&messages);
        let parts = cut(whole.len(), places.into_iter().map(|place| place % whole.len()).collect());
        // The first is the first: a stream begins with what is seen first.
        let mut order: Vec<_> = parts[1..].to_vec();
        for place in swaps {
            if order.len() > 1 {
                let at = place % (order.len() - 1);
                order.swap(at, at + 1);
            }
        }
        for place in again {
            let part = parts[place % parts.len()];
            order.insert(place % (order.len() + 1), part);
        }
        order.insert(0, parts[0]);
        let (found, has_gap) = read(first, &whole, &order);
        prop_assert_eq!(found, messages);
        prop_assert!(!has_gap);
    }

    #[test]
    fn no_bytes_make_it_fail(
        segments in prop::collection::vec(
            (any::<u32>(), prop::collection::vec(any::<u8>(), 0..200), any::<u16>(), any::<bool>()),
            0..60,
        ),
    ) {
        let mut streams = Streams::new();
        for (sequence, bytes, length, closes) in segments {
            let mut header = header(sequence, 0, 0);
            header.length = length;
            header.flags |= if closes { CLOSES } else { 0 };
            streams.on_segment(&header, &bytes);
        }
        streams.expire(Duration::from_secs(3));
    }
}
