use std::{net::IpAddr, time::Duration};

use super::{
    super::samples::{self, bytes, header, question},
    *,
};

fn read(hex: &str) -> Message {
    Message::read(&bytes(hex)).unwrap()
}

fn asked(message: &Message) -> (&str, u16) {
    let question = message.question.as_ref().unwrap();
    (&question.name, question.kind)
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::from([a, b, c, d])
}

#[test]
fn a_question_is_read() {
    let message = read(samples::QUESTION);
    assert_eq!(
        (message.id, message.is_answer, message.opcode),
        (0x1a2b, false, 0)
    );
    assert_eq!(asked(&message), ("www.example.com", 1));
    assert_eq!(message.answers, Answers::default());
    assert_eq!(message.fault, None);
    assert_eq!(
        asked(&read(samples::QUESTION_EDNS)),
        ("api.internal.example", 28)
    );
}

#[test]
fn an_answer_gives_addresses_and_the_smallest_ttl() {
    let message = read(samples::ANSWER);
    assert!(message.is_answer);
    assert_eq!(asked(&message), ("www.example.com", 1));
    assert_eq!(
        message.answers.addresses,
        [v4(93, 184, 216, 34), v4(93, 184, 216, 35)]
    );
    assert_eq!(message.answers.ttl, Some(Duration::from_secs(120)));
    assert_eq!((message.rcode, message.fault), (0, None));
    let message = read(samples::ANSWER_EDNS);
    assert_eq!(
        message.answers.addresses,
        ["2001:db8::1".parse::<IpAddr>().unwrap()]
    );
}

#[test]
fn aliases_lead_to_the_addresses() {
    let message = read(samples::ALIASES);
    assert_eq!(asked(&message).0, "shop.example.com");
    assert_eq!(
        message.answers.aliases,
        ["edge.cdn.example", "pop.cdn.example"]
    );
    assert_eq!(
        message.answers.addresses,
        [v4(192, 0, 2, 7), v4(192, 0, 2, 8)]
    );
    assert_eq!(message.answers.ttl, Some(Duration::from_secs(20)));
}

#[test]
fn response_codes_are_those_of_the_header_and_the_extension() {
    let message = read(samples::NXDOMAIN);
    assert_eq!((message.rcode, message.answers), (3, Answers::default()));
    assert_eq!(read(samples::BADVERS).rcode, 16);
}

#[test]
fn of_a_cut_answer_the_whole_records_are_read() {
    let whole = bytes(samples::ALIASES);
    // Both aliases and the first address take 98 bytes.
    let cut = Message::read(&whole[..100]).unwrap();
    assert_eq!(cut.answers.aliases.len(), 2);
    assert_eq!(cut.answers.addresses, [v4(192, 0, 2, 7)]);
    assert_eq!(cut.fault, Some(Unreadable::Ends));
    let only_question = Message::read(&whole[..34]).unwrap();
    assert_eq!(asked(&only_question).0, "shop.example.com");
    assert_eq!(only_question.answers, Answers::default());
    assert_eq!(Message::read(&whole[..33]), Err(Unreadable::Ends));
    assert_eq!(Message::read(&whole[..11]), Err(Unreadable::Ends));
    assert_eq!(Message::read(&[]), Err(Unreadable::Ends));
}

#[test]
fn a_message_without_a_question_has_none() {
    let message = Message::read(&header(7, 0x8181, 0, 0)).unwrap();
    assert_eq!((message.question, message.rcode), (None, 1));
}

#[test]
fn compression_that_points_to_itself_or_forward_is_malformed() {
    for name in [
        &b"\xc0\x0c"[..],
        b"\xc0\x0e\x00",
        b"\x01a\xc0\x0c",
        b"\xff\xff",
    ] {
        let message = question(1, 0x0100, name);
        assert!(
            matches!(Message::read(&message), Err(Unreadable::Malformed(_))),
            "{name:?}"
        );
    }
}

#[test]
fn many_pointers_to_pointers_end() {
    // Answers whose owners each point to the one before.
    let mut message = header(1, 0x8180, 1, 100);
    message.extend_from_slice(b"\x01a\x00\x00\x01\x00\x01");
    let mut before = 12u16;
    for _ in 0..100 {
        let at = message.len() as u16;
        message.extend_from_slice(&(0xc000 | before).to_be_bytes());
        message.extend_from_slice(b"\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x0a\x00\x00\x01");
        before = at;
    }
    assert_eq!(
        Message::read(&message).unwrap().answers.addresses.len(),
        100
    );
}

#[test]
fn labels_over_63_and_names_over_255_are_malformed() {
    let malformed = |name: &[u8]| {
        matches!(
            Message::read(&question(1, 0, name)),
            Err(Unreadable::Malformed(_))
        )
    };
    let label = |length: usize| [vec![length as u8], vec![b'a'; length]].concat();
    let longest = [label(63), label(63), label(63), label(61), vec![0]].concat();
    assert_eq!(longest.len(), 255);
    assert!(!malformed(&longest));
    assert!(malformed(
        &[label(63), label(63), label(63), label(62), vec![0]].concat()
    ));
    assert!(malformed(&[label(64), vec![0]].concat()));
    assert!(malformed(&[label(0x80), vec![0]].concat()));
}

#[test]
fn counts_that_promise_more_than_there_is_are_no_trouble() {
    let mut message = bytes(samples::ANSWER);
    message[4..12].fill(0xff);
    let read = Message::read(&message).unwrap();
    assert_eq!(asked(&read).0, "www.example.com");
    assert!(read.fault.is_some());
    let mut message = bytes(samples::ANSWER);
    message[6..12].fill(0xff);
    let read = Message::read(&message).unwrap();
    assert_eq!(read.answers.addresses.len(), 2);
    assert_eq!(read.fault, Some(Unreadable::Ends));
}

#[test]
fn an_address_of_the_wrong_length_ends_the_answers() {
    let mut message = bytes(samples::ANSWER);
    // The data length of the first address: 3 in place of 4.
    message[44] = 3;
    let read = Message::read(&message).unwrap();
    assert_eq!(read.answers.addresses, Vec::<IpAddr>::new());
    assert!(read.fault.is_some());
}

#[test]
fn addresses_of_another_class_are_none() {
    let mut message = bytes(samples::ANSWER);
    // CHAOS in place of Internet, in the question.
    message[32] = 3;
    assert_eq!(Message::read(&message).unwrap().answers, Answers::default());
}
