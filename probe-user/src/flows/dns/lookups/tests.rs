use proptest::{collection::vec, prelude::*};

use super::{
    super::samples::{self, bytes, header as wire_header, question as wire_question},
    *,
};

const SECOND: u64 = 1_000_000_000;

/// The header of a message between port 40000 of 10.0.0.2 and port 53 of 10.0.0.1.
fn header(time_ns: u64, flags: u8, length: usize) -> MessageHeader {
    let v4 = |last| {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[10, 0, 0, last]);
        address
    };
    MessageHeader {
        time_ns,
        latency_ns: 0,
        cgroup: 77,
        cookie: 5,
        local: v4(2),
        remote: v4(1),
        local_port: 40_000,
        remote_port: PORT,
        ip_version: 4,
        flags,
        length: length as u16,
        captured: length as u16,
        pad: 0,
        sequence: 0,
    }
}

fn lookups(capacity: usize) -> Lookups {
    Lookups::new(capacity, TIMEOUT)
}

/// What became of look-ups when this came.
fn ended(lookups: &mut Lookups, header: &MessageHeader, message: &[u8]) -> Option<Lookup> {
    let mut events = Vec::new();
    lookups.on_message(header, message, &mut events);
    let mut ended = events.into_iter().filter_map(|event| match event {
        LookupEvent::Ended(lookup) => Some(lookup),
        LookupEvent::Asked(_) | LookupEvent::Forgotten(_) => None,
    });
    ended.next()
}

fn sent(lookups: &mut Lookups, time_ns: u64, message: &[u8]) {
    let none = ended(lookups, &header(time_ns, SENT, message.len()), message);
    assert_eq!(none, None);
}

fn received(lookups: &mut Lookups, time_ns: u64, message: &[u8]) -> Option<Lookup> {
    ended(lookups, &header(time_ns, 0, message.len()), message)
}

/// A segment that has a message with its length before it.
fn segment(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&length, message].concat()
}

/// What the kernel side gives up.
fn given_up(id: u16, asked_ns: u64) -> (PendingKey, Pending) {
    let key = PendingKey {
        cookie: 5,
        id,
        local_port: 40_000,
        pad: 0,
    };
    (
        key,
        Pending {
            asked_ns,
            cgroup: 77,
        },
    )
}

#[test]
fn an_answer_is_paired_with_its_question() {
    let mut lookups = self::lookups(4);
    sent(&mut lookups, SECOND, &bytes(samples::QUESTION));
    assert_eq!(lookups.waiting(), 1);
    let lookup = received(&mut lookups, SECOND + 30, &bytes(samples::ANSWER)).unwrap();
    let expected = Lookup {
        cgroup: CgroupId(77),
        time: Duration::from_nanos(SECOND + 30),
        server: IpAddr::from([10, 0, 0, 1]),
        over_tcp: false,
        name: "www.example.com".to_owned(),
        kind: "A".to_owned(),
        rcode: Some("NOERROR".to_owned()),
        latency: Some(Duration::from_nanos(30)),
        addresses: vec![
            IpAddr::from([93, 184, 216, 34]),
            IpAddr::from([93, 184, 216, 35]),
        ],
        aliases: Vec::new(),
        ttl: Some(Duration::from_secs(120)),
        asked: true,
    };
    assert_eq!(lookup, expected);
    let counts = LookupCounts {
        messages: 2,
        decoded: 2,
        ..LookupCounts::default()
    };
    assert_eq!((lookups.counts(), lookups.waiting()), (counts, 0));
}

#[test]
fn the_latency_of_the_kernel_counts_first() {
    let mut lookups = self::lookups(4);
    sent(&mut lookups, SECOND, &bytes(samples::QUESTION));
    let message = bytes(samples::ANSWER);
    let mut header = header(3 * SECOND, 0, message.len());
    header.latency_ns = 1234;
    let lookup = ended(&mut lookups, &header, &message).unwrap();
    assert_eq!(lookup.latency, Some(Duration::from_nanos(1234)));
}

#[test]
fn an_answer_without_its_question_is_a_look_up_too() {
    let mut lookups = self::lookups(4);
    let lookup = received(&mut lookups, SECOND, &bytes(samples::NXDOMAIN)).unwrap();
    assert_eq!(lookup.name, "nope.example.com");
    assert_eq!(lookup.rcode.as_deref(), Some("NXDOMAIN"));
    assert_eq!((lookup.latency, lookups.counts().unasked), (None, 1));
}

#[test]
fn a_question_over_udp_ends_when_the_kernel_side_gives_it_up() {
    let mut lookups = self::lookups(4);
    let question = bytes(samples::QUESTION_EDNS);
    let mut events = Vec::new();
    lookups.on_message(
        &header(SECOND, SENT, question.len()),
        &question,
        &mut events,
    );
    assert!(
        matches!(events.as_slice(), [LookupEvent::Asked(it)] if it.name == "api.internal.example")
    );
    // It is sent again, and waits since it was first sent.
    sent(&mut lookups, 4 * SECOND, &question);
    let mut events = Vec::new();
    assert!(
        lookups
            .expire(Duration::from_secs(7), &mut events)
            .is_empty()
    );
    let id = u16::from_be_bytes([question[0], question[1]]);
    let key = given_up(id, SECOND);
    lookups.on_given_up(&[key], Duration::from_secs(7), &mut events);
    let [LookupEvent::Ended(ended)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(
        (&*ended.name, &*ended.kind),
        ("api.internal.example", "AAAA")
    );
    assert_eq!(
        (&ended.rcode, ended.latency, ended.asked),
        (&None, None, true)
    );
    assert_eq!(
        (ended.time, ended.cgroup),
        (Duration::from_secs(1), CgroupId(77))
    );
    assert_eq!((lookups.waiting(), lookups.counts().expired), (0, 1));
}

#[test]
fn a_question_that_was_not_read_and_not_answered_has_no_name() {
    let mut lookups = self::lookups(4);
    let mut events = Vec::new();
    lookups.on_given_up(&[given_up(9, SECOND)], Duration::from_secs(7), &mut events);
    assert!(
        matches!(events.as_slice(), [LookupEvent::Ended(it)] if it.name == "~unknown" && !it.asked && it.rcode.is_none())
    );
}

#[test]
fn a_question_whose_answer_was_not_read_blames_nobody() {
    let mut lookups = self::lookups(4);
    sent(&mut lookups, SECOND, &bytes(samples::QUESTION));
    let mut events = Vec::new();
    lookups.on_given_up(&[], Duration::from_secs(10), &mut events);
    assert_eq!(events, []);
    lookups.on_given_up(&[], Duration::from_secs(12), &mut events);
    assert!(matches!(events.as_slice(), [LookupEvent::Forgotten(_)]));
    assert_eq!(
        (lookups.counts().forgotten, lookups.counts().expired),
        (1, 0)
    );
}

#[test]
fn look_ups_over_tcp_are_paired_counted_and_end_here() {
    let mut lookups = self::lookups(4);
    let (question, answer) = (bytes(samples::QUESTION), bytes(samples::ANSWER));
    let asked = segment(&question);
    let over_tcp = |time, flags, sequence, length| MessageHeader {
        sequence,
        ..header(time, flags | OVER_TCP, length)
    };
    // The length is sent apart.
    sent_over_tcp(&mut lookups, over_tcp(1, SENT, 100, 2), &asked[..2]);
    assert_eq!(lookups.waiting(), 0);
    sent_over_tcp(
        &mut lookups,
        over_tcp(2, SENT, 102, asked.len() - 2),
        &asked[2..],
    );
    assert_eq!(lookups.waiting(), 1);
    let answered = segment(&answer);
    let lookup = ended(&mut lookups, &over_tcp(32, 0, 7, answered.len()), &answered).unwrap();
    assert_eq!(
        (lookup.latency, lookup.over_tcp),
        (Some(Duration::from_nanos(30)), true)
    );
    assert_eq!(lookups.over_tcp().answers, [((CgroupId(77), 0), 1)].into());
    assert_eq!(lookups.over_tcp().latency[&CgroupId(77)].count(), 1);
    // The same again comes twice, and the next one is not answered.
    let again = ended(&mut lookups, &over_tcp(33, 0, 7, answered.len()), &answered);
    assert_eq!(again, None);
    let next = 100 + u32::try_from(asked.len()).unwrap();
    sent_over_tcp(
        &mut lookups,
        over_tcp(SECOND, SENT, next, asked.len()),
        &asked,
    );
    let mut events = Vec::new();
    assert!(
        lookups
            .expire(Duration::from_secs(6), &mut events)
            .is_empty()
    );
    assert_eq!(
        lookups.expire(Duration::from_millis(6_001), &mut events),
        [CgroupId(77)]
    );
    assert!(matches!(events.as_slice(), [LookupEvent::Ended(it)] if it.rcode.is_none()));
}

fn sent_over_tcp(lookups: &mut Lookups, header: MessageHeader, bytes: &[u8]) {
    assert_eq!(ended(lookups, &header, bytes), None);
}

#[test]
fn a_gap_in_a_connection_blames_nobody() {
    let mut lookups = self::lookups(4);
    let asked = segment(&bytes(samples::QUESTION));
    let length = asked.len();
    sent_over_tcp(&mut lookups, header(1, SENT | OVER_TCP, length), &asked);
    // Half of the answer was not captured, and neither was where the next one begins.
    let answer = segment(&bytes(samples::ANSWER));
    let cut = MessageHeader {
        length: 2000,
        ..header(2, OVER_TCP, answer.len())
    };
    let mut events = Vec::new();
    lookups.on_message(&cut, &answer[..20], &mut events);
    assert!(
        matches!(events.last(), Some(LookupEvent::Forgotten(_))),
        "{events:?}"
    );
    assert_eq!((lookups.waiting(), lookups.counts().gaps), (0, 1));
}

#[test]
fn the_same_name_in_other_letters_is_the_same_question() {
    let mut lookups = self::lookups(4);
    sent(
        &mut lookups,
        1,
        &wire_question(9, 0x0100, b"\x03wWw\x02De\x00"),
    );
    let answer = wire_question(9, 0x8180, b"\x03WwW\x02de\x00");
    let lookup = received(&mut lookups, 2, &answer).unwrap();
    assert_eq!(
        (&*lookup.name, lookup.latency),
        ("www.de", Some(Duration::from_nanos(1)))
    );
}

#[test]
fn an_answer_to_another_question_leaves_the_question_waiting() {
    let mut lookups = self::lookups(4);
    sent(&mut lookups, 1, &wire_question(9, 0x0100, b"\x01a\x00"));
    let lookup = received(&mut lookups, 2, &wire_question(9, 0x8180, b"\x01b\x00"));
    assert_eq!(lookup.unwrap().latency, None);
    assert_eq!(lookups.waiting(), 1);
}

#[test]
fn an_answer_that_repeats_no_question_is_that_of_the_only_one() {
    let mut lookups = self::lookups(16);
    sent(&mut lookups, 1, &wire_question(9, 0x0100, b"\x01a\x00"));
    sent(&mut lookups, 1, &wire_question(8, 0x0100, b"\x01b\x00"));
    // FORMERR.
    let lookup = received(&mut lookups, 3, &wire_header(9, 0x8181, 0, 0)).unwrap();
    assert_eq!(
        (&*lookup.name, lookup.rcode.as_deref()),
        ("a", Some("FORMERR"))
    );
    assert_eq!(lookup.latency, Some(Duration::from_nanos(2)));
    sent(&mut lookups, 4, &wire_question(8, 0x0100, b"\x01c\x00"));
    assert_eq!(
        received(&mut lookups, 5, &wire_header(8, 0x8181, 0, 0)),
        None
    );
    assert_eq!((lookups.waiting(), lookups.counts().other), (2, 1));
}

#[test]
fn messages_of_the_serving_side_are_only_counted() {
    let mut lookups = self::lookups(4);
    let (question, answer) = (bytes(samples::QUESTION), bytes(samples::ANSWER));
    let mut serving = header(1, 0, question.len());
    (serving.local_port, serving.remote_port) = (PORT, 40_000);
    assert_eq!(ended(&mut lookups, &serving, &question), None);
    // Servers that ask each other may use port 53 at both ends.
    let mut both = header(2, 0, question.len());
    both.local_port = PORT;
    assert_eq!(ended(&mut lookups, &both, &question), None);
    assert_eq!((lookups.counts().served, lookups.waiting()), (2, 0));
    both.flags = SENT;
    assert_eq!(ended(&mut lookups, &both, &question), None);
    assert_eq!(lookups.waiting(), 1);
    let mut both = header(3, 0, answer.len());
    both.local_port = PORT;
    assert!(ended(&mut lookups, &both, &answer).is_some());
    assert_eq!(lookups.counts().served, 2);
}

#[test]
fn a_full_table_counts_what_it_refuses() {
    let mut lookups = self::lookups(2);
    for id in 0..5 {
        sent(&mut lookups, 1, &wire_question(id, 0x0100, b"\x01a\x00"));
    }
    // One container leaves room for others.
    assert_eq!((lookups.waiting(), lookups.counts().table_full), (1, 4));
    // The ones that wait can still be sent again.
    sent(&mut lookups, 2, &wire_question(0, 0x0100, b"\x01a\x00"));
    assert_eq!(lookups.counts().table_full, 4);
}

#[test]
fn cut_and_malformed_messages_are_told_apart() {
    let mut lookups = self::lookups(4);
    let message = bytes(samples::ALIASES);
    let mut cut = header(1, 0, message.len());
    cut.captured = 100;
    // The record has room for more than was captured.
    let lookup = ended(&mut lookups, &cut, &message).unwrap();
    assert_eq!((lookup.addresses.len(), lookups.counts().cut), (1, 1));
    assert!(received(&mut lookups, 1, &message[..100]).is_some());
    assert_eq!((lookups.counts().cut, lookups.counts().malformed), (1, 1));
    assert_eq!(
        received(&mut lookups, 1, &wire_question(1, 0x8180, b"\xc0\x0c")),
        None
    );
    let mut nothing = header(1, 0, 100);
    nothing.captured = 0;
    assert_eq!(ended(&mut lookups, &nothing, &message), None);
    let counts = lookups.counts();
    assert_eq!((counts.cut, counts.malformed, counts.unread), (2, 2, 2));
}

#[test]
fn other_operations_are_no_look_ups() {
    let mut lookups = self::lookups(4);
    // UPDATE, RFC 2136.
    sent(&mut lookups, 1, &wire_question(1, 5 << 11, b"\x01a\x00"));
    // A question that asks nothing, RFC 7873.
    sent(&mut lookups, 1, &wire_header(1, 0x0100, 0, 0));
    assert_eq!((lookups.waiting(), lookups.counts().other), (0, 2));
}

#[test]
fn a_server_may_have_an_ipv6_address() {
    let mut lookups = self::lookups(4);
    let message = bytes(samples::ANSWER);
    let mut header = header(1, 0, message.len());
    header.ip_version = 6;
    header.remote = "2001:db8::53".parse::<Ipv6Addr>().unwrap().octets();
    let lookup = ended(&mut lookups, &header, &message).unwrap();
    assert_eq!(lookup.server, "2001:db8::53".parse::<IpAddr>().unwrap());
}

proptest! {
    #[test]
    fn any_messages_keep_the_bound_and_the_sums(
        messages in vec((any::<u8>(), any::<bool>(), any::<u16>(), vec(any::<u8>(), 0..60), 0..7usize), 0..60),
    ) {
        let mut lookups = self::lookups(8);
        let mut given = 0;
        for (n, (flags, serving, captured, noise, sample)) in messages.iter().enumerate() {
            let message = [bytes(samples::ALL[*sample]), noise.clone()].concat();
            let mut header = header(n as u64 * SECOND, *flags, message.len());
            header.captured = captured % 200;
            if *serving {
                header.remote_port = 1;
            }
            // Identifiers differ, so that the table fills.
            let message = [&noise[..noise.len().min(2)], &message[noise.len().min(2)..]].concat();
            let mut events = Vec::new();
            lookups.on_message(&header, &message, &mut events);
            lookups.expire(Duration::from_secs(n as u64), &mut events);
            given += events.iter().filter(|it| matches!(it, LookupEvent::Ended(_))).count();
            prop_assert!(lookups.waiting() <= 8);
        }
        let counts = lookups.counts();
        prop_assert_eq!(
            counts.messages,
            counts.served + counts.decoded + counts.other + counts.unread
        );
        prop_assert!(given as u64 <= counts.decoded);
        let mut events = Vec::new();
        lookups.expire(Duration::from_secs(1_000), &mut events);
        lookups.on_given_up(&[], Duration::from_secs(1_000), &mut events);
        prop_assert_eq!(lookups.waiting(), 0);
    }
}
