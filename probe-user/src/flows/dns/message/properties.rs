//! Whatever the bytes, reading ends and what it says is within bounds.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{super::samples, *};

/// A sample with some bytes changed, and cut or not.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let sample = prop::sample::select(&samples::ALL[..]).prop_map(samples::bytes);
    let changes = vec((any::<Index>(), any::<u8>()), 0..8);
    (sample, changes, any::<Index>(), any::<bool>()).prop_map(|(mut bytes, changes, end, cut)| {
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(end.index(bytes.len() + 1));
        }
        bytes
    })
}

/// A header that promises much, then labels and pointers.
fn labels_and_pointers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        (0u16..1500).prop_map(|to| (0xc000 | to).to_be_bytes().to_vec()),
        vec(any::<u8>(), 1..70).prop_map(|label| [&[label.len() as u8], &label[..]].concat()),
        Just(vec![0]),
        Just(b"\x00\x00\x05\x00\x01\x00\x00\x00\x01\x00\x02\xc0\x0c".to_vec()),
    ];
    (any::<u16>(), vec(piece, 0..100)).prop_map(|(flags, pieces)| {
        let mut message = samples::header(1, flags | 0x8000, 1, u16::MAX);
        message.extend(pieces.concat());
        message
    })
}

fn within_bounds(bytes: &[u8]) {
    let Ok(message) = Message::read(bytes) else {
        return;
    };
    if let Some(question) = &message.question {
        assert!((1..=1012).contains(&question.name.len()));
        assert!(
            question
                .name
                .bytes()
                .all(|byte| (0x20..0x7f).contains(&byte))
        );
    }
    assert!(message.answers.addresses.len() * 16 <= bytes.len());
    assert!(message.answers.aliases.len() <= 16);
    if !message.is_answer {
        assert_eq!(message.answers, Answers::default());
    }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..1600)) {
        within_bounds(&bytes);
    }

    #[test]
    fn changed_messages_do_no_harm(bytes in mutated()) {
        within_bounds(&bytes);
    }

    #[test]
    fn labels_and_pointers_do_no_harm(bytes in labels_and_pointers()) {
        within_bounds(&bytes);
    }

    #[test]
    fn a_cut_message_says_nothing_that_the_whole_does_not(
        hex in prop::sample::select(&samples::ALL[..]),
        end in any::<Index>(),
    ) {
        let bytes = samples::bytes(hex);
        let whole = Message::read(&bytes).unwrap();
        let end = end.index(bytes.len());
        match Message::read(&bytes[..end]) {
            Err(error) => prop_assert_eq!(error, Unreadable::Ends),
            Ok(cut) => {
                prop_assert_eq!(cut.question, whole.question);
                prop_assert!(whole.answers.addresses.starts_with(&cut.answers.addresses));
                prop_assert!(whole.answers.aliases.starts_with(&cut.answers.aliases));
            }
        }
    }
}
