//! Name look-ups over TCP, RFC 1035 section 4.2.2: each message after two bytes with its length.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::{
    Done,
    net::{PATIENCE, address, question},
    options::Options,
    stage,
};

/// How messages are put into segments.
#[derive(Clone, Copy)]
enum Style {
    /// One each.
    Whole,
    /// The length goes ahead.
    Split,
    /// All at once.
    Together,
}

impl Style {
    fn of(options: &Options) -> Result<Self, Box<dyn std::error::Error>> {
        let name: String = options.need("--style")?;
        match name.as_str() {
            "whole" => Ok(Self::Whole),
            "split" => Ok(Self::Split),
            "together" => Ok(Self::Together),
            other => Err(format!("no style is called {other}").into()),
        }
    }

    fn write(self, stream: &mut TcpStream, messages: &[Vec<u8>]) -> io::Result<()> {
        let framed = |message: &Vec<u8>| -> Vec<u8> {
            let [high, low] = (message.len() as u16).to_be_bytes();
            [&[high, low], message.as_slice()].concat()
        };
        match self {
            Self::Whole => messages
                .iter()
                .try_for_each(|message| stream.write_all(&framed(message))),
            Self::Split => messages.iter().try_for_each(|message| {
                let framed = framed(message);
                stream.write_all(&framed[..2])?;
                // A segment of its own.
                thread::sleep(Duration::from_millis(5));
                stream.write_all(&framed[2..])
            }),
            Self::Together => {
                let all: Vec<u8> = messages.iter().flat_map(framed).collect();
                stream.write_all(&all)
            }
        }
    }

    /// How many messages go together.
    fn batch(self, messages: usize) -> usize {
        match self {
            Self::Together => messages,
            Self::Whole | Self::Split => 1,
        }
    }
}

fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Accepts a connection and answers `--packets` questions with NXDOMAIN. Ready when it listens.
pub(crate) fn serve_tcp(options: &Options) -> Done {
    let packets: usize = options.need("--packets")?;
    let style = Style::of(options)?;
    let listener = TcpListener::bind(address(options)?)?;
    stage::ready_and_wait()?;
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut left = packets;
    while left > 0 {
        let batch = style.batch(left);
        let mut answers = Vec::new();
        for _ in 0..batch {
            let mut message = read(&mut stream)?;
            // RFC 1035 section 4.1.1: the bit for an answer, and code 3.
            message[2] |= 0x80;
            message[3] = 3;
            answers.push(message);
        }
        style.write(&mut stream, &answers)?;
        left -= batch;
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}

/// Asks `--packets` times over one connection, and reads the answers.
pub(crate) fn look_up_tcp(options: &Options) -> Done {
    let packets: u16 = options.need("--packets")?;
    let style = Style::of(options)?;
    let mut stream = TcpStream::connect(address(options)?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let questions: Vec<Vec<u8>> = (1..=packets).map(question).collect();
    for batch in questions.chunks(style.batch(questions.len())) {
        style.write(&mut stream, batch)?;
        for _ in batch {
            read(&mut stream)?;
        }
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}
