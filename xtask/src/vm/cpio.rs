//! Writes the archive format of an initial RAM disk: `newc` cpio, as in the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.
use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
};

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// An archive being written. Folders appear by themselves.
pub(crate) struct Cpio<W> {
    out: W,
    inode: u32,
    folders: BTreeSet<String>,
}

impl<W: Write> Cpio<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            inode: 0,
            folders: BTreeSet::new(),
        }
    }

    /// Adds a file that root owns.
    ///
    /// # Errors
    /// When the archive cannot be written, or the content is larger than the format's 4 GiB.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let path = path.trim_start_matches('/');
        let parents: Vec<_> = Path::new(path)
            .ancestors()
            .skip(1)
            .filter_map(Path::to_str)
            .collect();
        for folder in parents
            .into_iter()
            .rev()
            .filter(|folder| !folder.is_empty())
        {
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, DIRECTORY | 0o755, &[])?;
            }
        }
        self.entry(path, FILE | mode, content)
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len())
            .map_err(|_| io::Error::other("file too large for an archive"))?;
        let name_size = u32::try_from(name.len() + 1)
            .map_err(|_| io::Error::other("path too long for an archive"))?;
        // Magic, then: inode, mode, uid, gid, links, mtime, size, 2 x device, 2 x special device,
        // name's size, checksum.
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let header = fields.iter().fold(String::from("070701"), |text, field| {
            format!("{text}{field:08x}")
        });
        self.padded(&[header.as_bytes(), name.as_bytes(), &[0]])?;
        self.padded(&[content])
    }

    /// Writes the parts and fills up to a multiple of four bytes.
    fn padded(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            self.out.write_all(part)?;
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.out
            .write_all(&[0; 3][..length.next_multiple_of(4) - length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut cpio = Cpio::new(Vec::new());
        cpio.file("/t/deep/hello", 0o755, b"hello").unwrap();
        cpio.file("t/args", 0o644, b"").unwrap();
        cpio.finish().unwrap()
    }

    #[test]
    fn entries_are_aligned_and_folders_come_once_before_their_files() {
        let bytes = archive();
        assert_eq!(bytes.len() % 4, 0);
        let mut names = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let field = |n: usize| {
                let text = std::str::from_utf8(&bytes[at + 6 + 8 * n..at + 14 + 8 * n]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (size, name_size) = (field(6), field(11));
            names
                .push(String::from_utf8_lossy(&bytes[at + 110..at + 109 + name_size]).into_owned());
            at = (at + 110 + name_size).next_multiple_of(4);
            at = (at + size).next_multiple_of(4);
        }
        assert_eq!(
            names,
            ["t", "t/deep", "t/deep/hello", "t/args", "TRAILER!!!"]
        );
    }
}
