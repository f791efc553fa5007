//! Which files an input means, and how their bytes are reached.

use std::cell::RefCell;
use std::fs::{self, File, FileType};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::read_error::ReadError;

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A file, or a folder with all log files below it.
    Path(PathBuf),
    /// All files that match a pattern such as `logs/2026-*.parquet`.
    Glob(String),
    /// Standard input, of any format.
    Stdin,
    /// Bytes in memory, of any format.
    Bytes {
        /// What to call them in reports.
        name: String,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
}

impl Input {
    /// Reads what a user types: `-` is standard input, and a pattern is a pattern unless a file
    /// has that very name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == "-" {
            Self::Stdin
        } else if text.contains(['*', '?', '[']) && !Path::new(text).exists() {
            Self::Glob(text.to_owned())
        } else {
            Self::Path(PathBuf::from(text))
        }
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes {
            name: name.into(),
            bytes: bytes.into(),
        }
    }
}

/// One stream of bytes.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) place: Place,
}

pub(crate) enum Place {
    File(PathBuf),
    Stdin,
    Bytes(Arc<[u8]>),
}

/// Endings of log files, without those of compression.
const ENDINGS: [&str; 5] = ["parquet", "csv", "tsv", "jsonl", "ndjson"];

/// Folders below folders, at most: deeper ones are loops or accidents.
const DEPTH_MAX: usize = 32;

/// The sources an input means, sorted by name.
pub(crate) fn list(input: &Input) -> Result<Vec<Source>, ReadError> {
    list_of(input, &ENDINGS)
}

/// The [`list`] of files; of a folder those whose names have one of the `endings`.
pub(crate) fn list_of(input: &Input, endings: &[&str]) -> Result<Vec<Source>, ReadError> {
    let mut paths = Vec::new();
    match input {
        Input::Stdin => {
            return Ok(vec![Source {
                name: "<stdin>".to_owned(),
                place: Place::Stdin,
            }]);
        }
        Input::Bytes { name, bytes } => {
            return Ok(vec![Source {
                name: name.clone(),
                place: Place::Bytes(bytes.clone()),
            }]);
        }
        Input::Path(path) if metadata(path)?.is_dir() => walk(path, 0, endings, &mut paths)?,
        Input::Path(path) => {
            regular(path)?;
            paths.push(path.clone());
        }
        Input::Glob(pattern) => {
            // As in a shell, `*` does not mean hidden files.
            let options = glob::MatchOptions {
                require_literal_leading_dot: true,
                ..Default::default()
            };
            let found =
                glob::glob_with(pattern, options).map_err(|error| ReadError::BadPattern {
                    pattern: pattern.clone(),
                    message: error.msg.to_owned(),
                })?;
            for path in found {
                let path = path.map_err(|error| ReadError::Io {
                    file: error.path().display().to_string(),
                    source: io::Error::from(error.error().kind()),
                })?;
                if !metadata(&path)?.is_dir() {
                    regular(&path)?;
                    paths.push(path);
                }
            }
        }
    }
    if paths.is_empty() {
        let input = match input {
            Input::Path(path) => path.display().to_string(),
            Input::Glob(pattern) => pattern.clone(),
            Input::Stdin | Input::Bytes { .. } => String::new(),
        };
        return Err(ReadError::NothingMatched { input });
    }
    paths.sort();
    let source = |path: PathBuf| Source {
        name: path.display().to_string(),
        place: Place::File(path),
    };
    Ok(paths.into_iter().map(source).collect())
}

/// Adds the log files below a folder; links to folders are not followed.
fn walk(
    folder: &Path,
    depth: usize,
    endings: &[&str],
    paths: &mut Vec<PathBuf>,
) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io {
        file: folder.display().to_string(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth < DEPTH_MAX {
            walk(&path, depth + 1, endings, paths)?;
        } else if ends_in(&path, endings) && !kind.is_dir() {
            regular(&path)?;
            paths.push(path);
        }
    }
    Ok(())
}

/// Whether a file's name has one of the endings, compressed or not.
fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let stem = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(&name);
    endings.iter().any(|ending| {
        stem.strip_suffix(ending)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    })
}

fn metadata(path: &Path) -> Result<fs::Metadata, ReadError> {
    fs::metadata(path).map_err(|source| ReadError::Io {
        file: path.display().to_string(),
        source,
    })
}

/// Refuses what is not a regular file before it is opened: opening a FIFO would wait for ever.
fn regular(path: &Path) -> Result<(), ReadError> {
    let kind = metadata(path)?.file_type();
    if kind.is_file() {
        return Ok(());
    }
    Err(ReadError::NotRegular {
        file: path.display().to_string(),
        kind: kind_name(kind),
    })
}

#[cfg(unix)]
fn kind_name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else if kind.is_dir() {
        "a folder"
    } else {
        "something else"
    }
}

#[cfg(not(unix))]
fn kind_name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else {
        "something else"
    }
}

/// What the bytes of a source are, once decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv {
        delimiter: u8,
    },
    Jsonl,
    /// One array or one long object: exports, never outcome logs.
    JsonArray,
}

/// An opened source: its format is known, its bytes are decompressed, counted and hashed.
pub(crate) struct Opened {
    pub(crate) format: Format,
    pub(crate) reader: Box<dyn BufRead>,
    /// The raw bytes need no decompression, so that a file can be read in place.
    pub(crate) is_plain: bool,
    /// Hands out the raw bytes that the decoder left, so that all are hashed.
    pub(crate) rest: SharedRaw,
}

/// The digest of all input, and the decompressed bytes still allowed.
pub(crate) struct Meter {
    digest: Rc<RefCell<blake3::Hasher>>,
    left: Rc<RefCell<u64>>,
    cap: u64,
}

impl Meter {
    /// Allows `cap` bytes, all sources together.
    pub(crate) fn new(cap: u64) -> Self {
        Self {
            digest: Rc::default(),
            left: Rc::new(RefCell::new(cap)),
            cap,
        }
    }

    /// BLAKE3 digest (hex) of what was read so far.
    pub(crate) fn digest(&self) -> String {
        self.digest.borrow().finalize().to_hex().to_string()
    }

    /// Bytes still allowed.
    pub(crate) fn left(&self) -> u64 {
        *self.left.borrow()
    }

    /// Takes back what was counted since `left` bytes were allowed: what Parquet holds is counted
    /// instead of its file's bytes.
    pub(crate) fn rewind(&self, left: u64) {
        *self.left.borrow_mut() = left;
    }

    /// Counts bytes of `file`.
    pub(crate) fn take(&self, file: &str, bytes: u64) -> Result<(), ReadError> {
        let mut left = self.left.borrow_mut();
        *left = left.checked_sub(bytes).ok_or_else(|| ReadError::ByteCap {
            file: file.to_owned(),
            cap: self.cap,
        })?;
        Ok(())
    }
}

/// Binary logarithm of the largest Zstandard window that is decoded: 128 MiB.
pub(crate) const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Parquet, which must be a file to be read.
pub(crate) enum OnDisk<'s> {
    /// As it was given.
    Given(&'s Path),
    /// Written out, because it was compressed or in no file.
    Copy(tempfile::NamedTempFile),
}

impl OnDisk<'_> {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Copy(file) => file.path(),
        }
    }
}

/// The file that a source of Parquet is, or a temporary one with what its `reader` gives.
pub(crate) fn on_disk<'s>(
    source: &'s Source,
    mut reader: Box<dyn BufRead>,
    is_plain: bool,
    meter: &Meter,
) -> Result<OnDisk<'s>, ReadError> {
    if let (Place::File(path), true) = (&source.place, is_plain) {
        return Ok(OnDisk::Given(path));
    }
    let failed = |error| ReadError::Io {
        file: source.name.clone(),
        source: error,
    };
    let mut copy = tempfile::NamedTempFile::new().map_err(failed)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let got = reader
            .read(&mut buffer)
            .map_err(|error| read_failed(&source.name, error, meter.cap))?;
        if got == 0 {
            return Ok(OnDisk::Copy(copy));
        }
        io::Write::write_all(&mut copy, &buffer[..got]).map_err(failed)?;
    }
}

const SNIFF_BYTES: usize = 4096;
/// Bytes read, and hashed, at a time.
const BUFFER_BYTES: usize = 1 << 18;

pub(crate) fn open(source: &Source, meter: &Meter) -> Result<Opened, ReadError> {
    let failed = |error| ReadError::Io {
        file: source.name.clone(),
        source: error,
    };
    let raw: Box<dyn Read> = match &source.place {
        Place::File(path) => Box::new(File::open(path).map_err(failed)?),
        Place::Stdin => Box::new(io::stdin()),
        Place::Bytes(bytes) => Box::new(Cursor::new(bytes.clone())),
    };
    let rest = SharedRaw(Rc::new(RefCell::new(Hashing {
        raw: BufReader::with_capacity(BUFFER_BYTES, raw),
        digest: meter.digest.clone(),
    })));
    let (head, raw) = peek(rest.clone(), 4).map_err(failed)?;
    if head.is_empty() {
        return Err(ReadError::Empty {
            file: source.name.clone(),
        });
    }
    let raw = BufReader::with_capacity(BUFFER_BYTES, raw);
    let mut is_plain = false;
    let bytes: Box<dyn Read> = if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(raw))
    } else if head == [0x28, 0xb5, 0x2f, 0xfd] {
        let mut decoder = zstd::Decoder::with_buffer(raw).map_err(failed)?;
        decoder
            .window_log_max(ZSTD_WINDOW_LOG_MAX)
            .map_err(failed)?;
        Box::new(decoder)
    } else {
        is_plain = true;
        Box::new(raw)
    };
    let bytes = Capped {
        bytes,
        left: meter.left.clone(),
    };
    let (head, bytes) =
        peek(bytes, SNIFF_BYTES).map_err(|error| read_failed(&source.name, error, meter.cap))?;
    let format = sniff(source, &head)?;
    let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, bytes));
    Ok(Opened {
        format,
        reader,
        is_plain,
        rest,
    })
}

/// What the first bytes look like; a name that says otherwise does not matter, except for TSV.
fn sniff(source: &Source, head: &[u8]) -> Result<Format, ReadError> {
    let unknown = |found| {
        Err(ReadError::UnknownFormat {
            file: source.name.clone(),
            found,
        })
    };
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return unknown("it looks like UTF-16");
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let Some(first) = text.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Err(ReadError::NoRows {
            file: source.name.clone(),
        });
    };
    if *first == b'{' {
        return Ok(Format::Jsonl);
    }
    if *first == b'[' {
        return Ok(Format::JsonArray);
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.contains(&0)
        || std::str::from_utf8(line).is_err_and(|error| error.error_len().is_some())
    {
        return unknown("its first line is not text");
    }
    let is_tsv = line.contains(&b'\t') && !line.contains(&b',');
    Ok(Format::Csv {
        delimiter: if is_tsv { b'\t' } else { b',' },
    })
}

/// Turns what a reader said into the error it means.
pub(crate) fn read_failed(file: &str, error: io::Error, cap: u64) -> ReadError {
    let file = file.to_owned();
    if error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<CapExceeded>)
    {
        return ReadError::ByteCap { file, cap };
    }
    let message = error.to_string();
    // The decoder's words for a window above the limit; it knows no error kind of its own.
    if message.contains("requires too much memory") {
        return ReadError::ZstdWindow {
            file,
            window_log_max: ZSTD_WINDOW_LOG_MAX,
        };
    }
    match error.kind() {
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => ReadError::Compression { file, message },
        _ => ReadError::Io {
            file,
            source: error,
        },
    }
}

/// The first bytes of a reader, and a reader that still has them.
fn peek<R: Read>(mut reader: R, bytes_max: usize) -> io::Result<(Vec<u8>, impl Read)> {
    let mut head = Vec::with_capacity(bytes_max);
    reader
        .by_ref()
        .take(bytes_max as u64)
        .read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

/// The raw bytes, shared between the decoder and whoever drains what it left.
#[derive(Clone)]
pub(crate) struct SharedRaw(Rc<RefCell<Hashing>>);

struct Hashing {
    raw: BufReader<Box<dyn Read>>,
    digest: Rc<RefCell<blake3::Hasher>>,
}

impl Read for SharedRaw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        let is_hashed = !inner.raw.buffer().is_empty();
        let bytes = inner.raw.fill_buf()?;
        if !is_hashed {
            // Whole buffers, whatever size is asked for: small or crooked pieces cost twice as much.
            inner.digest.borrow_mut().update(bytes);
        }
        let read = bytes.len().min(buffer.len());
        buffer[..read].copy_from_slice(&bytes[..read]);
        inner.raw.consume(read);
        Ok(read)
    }
}

/// Fails once more than `left` bytes have come through, on all sources together.
struct Capped {
    bytes: Box<dyn Read>,
    left: Rc<RefCell<u64>>,
}

#[derive(Debug, thiserror::Error)]
#[error("more decompressed bytes than allowed")]
struct CapExceeded;

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut left = self.left.borrow_mut();
        // One byte more than is left, so that a source of exactly `left` bytes ends well.
        let want = usize::try_from(left.saturating_add(1))
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.bytes.read(&mut buffer[..want])?;
        *left = left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(CapExceeded))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_what_users_type() {
        assert_eq!(Input::parse("-"), Input::Stdin);
        assert_eq!(Input::parse("a.csv"), Input::Path("a.csv".into()));
        assert_eq!(
            Input::parse("logs/*.csv"),
            Input::Glob("logs/*.csv".to_owned())
        );
    }

    #[test]
    fn log_names_are_known_by_their_endings() {
        for name in [
            "a.parquet",
            "a.csv.gz",
            "a.b.jsonl.zst",
            "A.CSV",
            "x/a.ndjson",
        ] {
            assert!(ends_in(Path::new(name), &ENDINGS), "{name}");
        }
        for name in ["_SUCCESS", "a.txt", "csv", ".csv", "a.csv.crc", "a.json"] {
            assert!(!ends_in(Path::new(name), &ENDINGS), "{name}");
        }
    }
}
