//! Keys, values and records of name look-ups, which the `flows` probe sees at port 53.

use crate::hist::Histogram;

/// The well-known port.
pub const PORT: u16 = 53;

/// A question that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PendingKey {
    /// The asking socket's cookie.
    pub cookie: u64,
    /// The message's identifier.
    pub id: u16,
    /// Port of the asking socket.
    pub local_port: u16,
    /// Zero.
    pub pad: u32,
}
const _: () = assert!(size_of::<PendingKey>() == 16 && align_of::<PendingKey>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for PendingKey {}

/// When and by whom it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Pending {
    /// Monotonic time of the first transmission in nanoseconds.
    pub asked_ns: u64,
    /// Cgroup of the socket.
    pub cgroup: u64,
}
const _: () = assert!(size_of::<Pending>() == 16);

// SAFETY: as for `PendingKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Pending {}

/// Answers by cgroup and response code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct AnswerKey {
    /// Cgroup of the asking socket.
    pub cgroup: u64,
    /// Response code of the header, 0 to 15.
    pub rcode: u32,
    /// Zero.
    pub pad: u32,
}
const _: () = assert!(size_of::<AnswerKey>() == 16 && align_of::<AnswerKey>() == 8);

// SAFETY: as for `PendingKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for AnswerKey {}

/// Durations of look-ups by cgroup.
pub type Latency = Histogram;

/// Bytes of a message that a small record holds, as most questions and many answers are; a power of two, by which the program shows
/// that it stays inside.
pub const SMALL: usize = 128;
/// Bytes of a message that a medium record holds.
pub const MEDIUM: usize = 512;
/// Bytes of a message that a large record holds: more than fits into one Ethernet frame.
pub const LARGE: usize = 2048;
/// Bytes of a segment that the largest record holds; what offload puts together may have four times as many.
pub const HUGE: usize = 16_384;

/// A message left through the socket.
pub const SENT: u8 = 1;
/// A segment of TCP: a part of a message, a whole one or several. Each message is preceded by two bytes with its length
/// (RFC 1035, section 4.2.2).
pub const OVER_TCP: u8 = 2;
/// The segment ends its direction of the connection.
pub const CLOSES: u8 = 4;

/// What precedes the bytes of a message in a record.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MessageHeader {
    /// Monotonic time in nanoseconds.
    pub time_ns: u64,
    /// For an answer: nanoseconds since the question, or 0 where that was not seen.
    pub latency_ns: u64,
    /// Cgroup of the socket.
    pub cgroup: u64,
    /// The socket's cookie.
    pub cookie: u64,
    /// Address of the socket's side, as in [`crate::flows::FlowKey`].
    pub local: [u8; 16],
    /// Address of the other side.
    pub remote: [u8; 16],
    /// Port of the socket's side.
    pub local_port: u16,
    /// Port of the other side.
    pub remote_port: u16,
    /// 4 or 6.
    pub ip_version: u8,
    /// [`SENT`], [`OVER_TCP`] and [`CLOSES`].
    pub flags: u8,
    /// Length of the whole message or segment.
    pub length: u16,
    /// How much of it the record holds.
    pub captured: u16,
    /// Zero.
    pub pad: u16,
    /// Sequence number of the first byte of a segment; 0 for a message of UDP.
    pub sequence: u32,
}
const _: () = assert!(size_of::<MessageHeader>() == 80 && align_of::<MessageHeader>() == 8);

// SAFETY: as for `PendingKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for MessageHeader {}

/// A record with a short message.
#[repr(C)]
pub struct SmallMessage {
    /// What precedes the message.
    pub header: MessageHeader,
    /// The message, `header.captured` bytes of it.
    pub bytes: [u8; SMALL],
}

/// A record with a message of medium length.
#[repr(C)]
pub struct MediumMessage {
    /// What precedes the message.
    pub header: MessageHeader,
    /// The message, `header.captured` bytes of it.
    pub bytes: [u8; MEDIUM],
}
const _: () = assert!(size_of::<MediumMessage>() == 80 + MEDIUM);

/// A record with a large segment.
#[repr(C)]
pub struct HugeMessage {
    /// What precedes the segment.
    pub header: MessageHeader,
    /// The segment, `header.captured` bytes of it.
    pub bytes: [u8; HUGE],
}
const _: () = assert!(size_of::<HugeMessage>() == 80 + HUGE);

/// What a cgroup has in the table of questions that wait. Both only grow: the kernel side writes one of it, user space another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Waiting {
    /// Questions that were entered.
    pub entered: u64,
    /// Questions that were taken out again.
    pub left: u64,
}
const _: () = assert!(size_of::<Waiting>() == 16);

// SAFETY: as for `PendingKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Waiting {}

/// Stands for all cgroups together, among the [`Waiting`] of each: the kernel does not number one so.
pub const EVERYONE: u64 = u64::MAX;

/// A record with a long message.
#[repr(C)]
pub struct LargeMessage {
    /// What precedes the message.
    pub header: MessageHeader,
    /// The message, `header.captured` bytes of it.
    pub bytes: [u8; LARGE],
}
const _: () =
    assert!(size_of::<SmallMessage>() == 80 + SMALL && size_of::<LargeMessage>() == 80 + LARGE);
