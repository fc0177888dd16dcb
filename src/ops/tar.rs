//! `-dA`: the program and the libraries that it loaded in one archive, for whoever reads a core dump elsewhere.
//!
//! Source: POSIX 1003.1, pax, "ustar Interchange Format"; management manual, "Starting HAProxy"; names within the archive
//! as in runs of 3.4.0.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

const BLOCK: usize = 512;

/// Writes the files into an archive under `directory`, which is no real one. The archive is replaced if it exists.
///
/// # Errors
/// Those of opening, reading and writing; a path or a size that has no room in a header.
pub(super) fn pack(archive: &Path, directory: &str, files: &[String]) -> io::Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o700)
        .open(archive)?;
    let mut out = BufWriter::new(file);
    for path in files {
        let object = File::open(path)?;
        let meta = object.metadata()?;
        out.write_all(&header(
            &format!("{directory}{path}"),
            meta.permissions().mode(),
            meta.len(),
        )?)?;
        // A file that grows meanwhile must not shift what follows.
        let written = io::copy(&mut object.take(meta.len()), &mut out)?;
        if written < meta.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let over = usize::try_from(written % BLOCK as u64).unwrap_or(0);
        out.write_all(&[0; BLOCK][over..][..(BLOCK - over) % BLOCK])?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()
}

/// The header of a regular file that everybody may read.
fn header(name: &str, mode: u32, size: u64) -> io::Result<[u8; BLOCK]> {
    let unfit = || io::Error::from(ErrorKind::InvalidInput);
    let (prefix, name) = split(name).ok_or_else(unfit)?;
    if size >= 1 << 33 {
        return Err(unfit());
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(room) = block.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, format!("{:07o}", mode & 0o555).as_bytes());
    put(108, b"0000000\x000000000\x00");
    put(124, format!("{size:011o}\0{:011o}\0        0", 0).as_bytes());
    put(257, b"ustar\x0000root");
    put(297, b"root");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// A long name in two parts, without the slash between them.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= 100 {
        return Some(("", name));
    }
    let cuts = name.match_indices('/');
    cuts.map(|(at, _)| (&name[..at], &name[at + 1..]))
        .find(|(prefix, rest)| prefix.len() <= 155 && rest.len() <= 100 && !rest.is_empty())
}

/// Absolute paths of the program and of the libraries that it loaded, the program first.
pub(super) fn loaded_objects() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let mut found = vec![program.display().to_string()];
    let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    for path in paths.filter(|path| path.starts_with('/')) {
        if !found.iter().any(|known| known == path) {
            found.push(path.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let block = header("core-1/bin/x", 0o100_755, 0o1234).unwrap();
        assert_eq!(&block[..13], b"core-1/bin/x\0");
        assert_eq!(
            &block[100..148],
            b"0000555\x000000000\x000000000\x0000000001234\x0000000000000\0"
        );
        assert_eq!(block[156], b'0');
        assert_eq!(&block[257..265], b"ustar\x0000");
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        assert_eq!(&block[148..156], format!("{sum:06o}\0 ").as_bytes());
        assert!(header("x", 0, 1 << 33).is_err());
    }

    #[test]
    fn long_names() {
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        assert_eq!(split(&long), Some((&long[..90], &long[91..])));
        assert_eq!(split(&"f".repeat(101)), None);
    }

    #[test]
    fn archives() {
        let dir = std::env::temp_dir().join(format!("rproxy-tar-test.{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = |name: &str| dir.join(name).display().to_string();
        fs::write(path("a"), [1; 512]).unwrap();
        fs::write(path("b"), [2; 513]).unwrap();
        pack(&dir.join("t"), "core-1", &[path("a"), path("b")]).unwrap();
        let text = fs::read(path("t")).unwrap();
        assert_eq!(text.len(), (1 + 1 + 1 + 2 + 2) * BLOCK);
        assert_eq!(
            (text[512], text[1024 + 512 + 512], text[1024 + 512 + 513]),
            (1, 2, 0)
        );
        assert!(pack(&dir.join("t"), "core-1", &[path("none")]).is_err());
        fs::remove_dir_all(&dir).unwrap();
        assert!(loaded_objects().len() > 1);
    }
}
