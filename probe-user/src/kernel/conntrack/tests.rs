use std::net::SocketAddr;

use proptest::prelude::*;

use super::{
    message::{Answer, Packets, entries, entry_of, read, translation},
    *,
};
use crate::model::Transport;

fn flow(local: &str, remote: &str) -> Tuple {
    let [local, remote] = [local, remote].map(|it| it.parse::<SocketAddr>().unwrap());
    Tuple {
        transport: Transport::TCP,
        local: local.ip(),
        local_port: local.port(),
        remote: remote.ip(),
        remote_port: remote.port(),
    }
}

fn packets(source: &str, destination: &str) -> Packets {
    let [source, destination] = [source, destination].map(|it| {
        let address = it.parse::<SocketAddr>().unwrap();
        (address.ip(), address.port())
    });
    Packets {
        source,
        destination,
    }
}

#[test]
fn a_question_is_what_the_kernel_expects() {
    // Attributes in the order of include/uapi/linux/netfilter/nfnetlink_conntrack.h.
    let expected = [
        72, 0, 0, 0, 1, 1, 1, 0, 7, 0, 0, 0, 0, 0, 0,
        0, // header: length, type, flags, number
        2, 0, 0, 0, // IPv4
        52, 0, 1, 0x80, // CTA_TUPLE_ORIG
        20, 0, 1, 0x80, // CTA_TUPLE_IP
        8, 0, 1, 0, 10, 0, 0, 1, // CTA_IP_V4_SRC
        8, 0, 2, 0, 10, 96, 0, 1, // CTA_IP_V4_DST
        28, 0, 2, 0x80, // CTA_TUPLE_PROTO
        5, 0, 1, 0, 6, 0, 0, 0, // CTA_PROTO_NUM
        6, 0, 2, 0, 0x9c, 0x40, 0, 0, // CTA_PROTO_SRC_PORT
        6, 0, 3, 0, 0, 80, 0, 0, // CTA_PROTO_DST_PORT
    ];
    assert_eq!(
        entry_of(&flow("10.0.0.1:40000", "10.96.0.1:80"), 7),
        expected
    );
    assert_eq!(
        entries(9),
        [20, 0, 0, 0, 5, 1, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn an_ipv6_socket_that_talks_ipv4_asks_for_ipv4() {
    let mapped = flow("[::ffff:10.0.0.1]:40000", "[::ffff:10.96.0.1]:80");
    let plain = flow("10.0.0.1:40000", "10.96.0.1:80");
    assert_eq!(entry_of(&mapped, 1), entry_of(&plain, 1));
}

#[test]
fn a_client_sees_the_backend_and_its_own_address_behind_a_masquerade() {
    let tracked = translation(
        &flow("10.0.0.1:40000", "10.96.0.1:80"),
        &packets("10.0.0.1:40000", "10.96.0.1:80"),
        &packets("10.1.0.9:8080", "192.0.2.1:50000"),
    );
    assert_eq!(
        tracked,
        Tracked::As(flow("192.0.2.1:50000", "10.1.0.9:8080"))
    );
}

#[test]
fn a_server_sees_the_service_and_who_asked_for_it() {
    let tracked = translation(
        &flow("10.1.0.9:8080", "192.0.2.1:50000"),
        &packets("10.0.0.1:40000", "10.96.0.1:80"),
        &packets("10.1.0.9:8080", "192.0.2.1:50000"),
    );
    assert_eq!(tracked, Tracked::As(flow("10.96.0.1:80", "10.0.0.1:40000")));
}

#[test]
fn what_is_tracked_and_not_translated_stays_as_it_is() {
    let [there, back] = [("10.0.0.1:1", "10.0.0.2:2"), ("10.0.0.2:2", "10.0.0.1:1")];
    for (local, remote) in [there, back] {
        let tracked = translation(
            &flow(local, remote),
            &packets(there.0, there.1),
            &packets(back.0, back.1),
        );
        assert_eq!(tracked, Tracked::AsItIs);
    }
}

/// The kernel's words for "there is none": an error with the question behind it.
#[test]
fn a_refusal_has_its_error_number_and_an_answer_to_another_question_is_none() {
    let mut bytes = vec![36, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend((-2i32).to_ne_bytes());
    bytes.extend([20, 0, 0, 0, 1, 1, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        read(&bytes, 3).unwrap(),
        Some(Answer::Refused(Errno::NOENT))
    );
    assert_eq!(read(&bytes, 4).unwrap(), None);
}

/// A question is an entry with one direction, so its bytes are half of an answer.
#[test]
fn an_entry_without_one_of_its_directions_is_refused() {
    let mut bytes = entry_of(&flow("10.0.0.1:40000", "10.96.0.1:80"), 7);
    bytes[4] = 0;
    assert!(read(&bytes, 7).unwrap_err().to_string().contains("without"));
}

#[test]
fn an_entry_is_read_in_both_directions() {
    for (client, service, backend) in [
        ("10.0.0.1:40000", "10.96.0.1:80", "10.1.0.9:8080"),
        ("[fd00::1]:40000", "[fd00::96]:80", "[fd00:1::9]:8080"),
    ] {
        let mut bytes = entry_of(&flow(client, service), 7);
        let mut reply = entry_of(&flow(backend, client), 7).split_off(20);
        reply[2] = 2;
        bytes.extend(reply);
        bytes[4] = 0;
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(
            read(&bytes, 7).unwrap(),
            Some(Answer::Entry {
                original: packets(client, service),
                reply: packets(backend, client),
            })
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _whatever = read(&bytes, 0);
    }

    #[test]
    fn no_cut_and_no_change_of_an_answer_is_a_panic(
        cut in 0usize..140,
        at in 0usize..140,
        byte in any::<u8>(),
    ) {
        let mut bytes = entry_of(&flow("[fd00::1]:40000", "[fd00::96]:80"), 7);
        bytes[4] = 0;
        bytes.truncate(cut);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let _whatever = read(&bytes, 7);
    }
}

/// The kernel itself answers, in a namespace without a connection.
#[test]
fn a_namespace_without_connections_has_no_entries() {
    use rustix::thread::{UnshareFlags, unshare_unsafe};

    if !is_loaded(Path::new("/proc")) {
        test_skip::skip("conntrack", "the kernel has not loaded connection tracking");
        return;
    }
    let asked = std::thread::spawn(|| {
        // SAFETY: a network namespace of its own does not affect the thread's file table.
        if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
            test_skip::skip(
                "netns",
                &format!("cannot create a network namespace: {error}"),
            );
            return;
        }
        let mut conntrack = Conntrack::open().unwrap();
        assert_eq!(conntrack.entries().unwrap(), 0);
        let flow = flow("10.0.0.1:40000", "10.96.0.1:80");
        assert_eq!(conntrack.look_up(&flow).unwrap(), Tracked::Absent);
    });
    asked.join().unwrap();
}
