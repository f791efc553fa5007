//! Parquet, lazily through Polars, in slices; a panic of the decoder becomes an error.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::{
    AnyValue, ArrowDataType, DataFrame, DataType, FileMetadata, FileMetadataRef, LazyFrame,
    ListChunked, ParquetReader, PlRefPath, PolarsResult, ScanArgsParquet, SerReader, Series,
    StringChunked, TimeUnit, polars_bail,
};
use polars_parquet::read::PhysicalType;

use crate::assemble::{Assembler, Spot};
use crate::column::{Column, Kind};
use crate::csv_log::require_columns;
use crate::header::Header;
use crate::read_error::ReadError;
use crate::reject::RejectReason;
use crate::row::Cell;
use crate::source::{Meter, Place, Source};
use crate::{parquet_claims, parquet_deltas, row_bytes};

/// Rows decoded at a time.
const SLICE_ROWS: u32 = 1 << 16;

/// What a column holds, as far as it matters for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Text,
    Integer,
    Float,
    Decimal,
    Boolean,
    Time,
    Numbers,
    Texts,
    Null,
    Unsupported,
}

pub(crate) struct Field {
    pub(crate) name: String,
    class: Class,
    type_name: String,
    is_unbounded: bool,
}

/// What a file's footer says.
pub(crate) struct Footer {
    fields: Vec<Field>,
    metadata: FileMetadataRef,
    file_bytes: u64,
}

/// `PAR1`, with which every Parquet file begins.
const MAGIC_BYTES: u64 = 4;

/// What a file's footer and the headers of its pages say.
pub(crate) struct Shape {
    pub(crate) fields: Vec<Field>,
    pub(crate) rows: u64,
    /// Bytes that were counted: those of the file, or those that the decoder will make room for.
    pub(crate) bytes: u64,
    pub(crate) metadata: FileMetadataRef,
}

/// What a file may take of the bytes allowed: its rows count where they hold more than its pages,
/// which count before any is decoded.
pub(crate) struct Allowance<'m> {
    meter: &'m Meter,
    file: &'m str,
    counted: u64,
    held: u64,
}

impl<'m> Allowance<'m> {
    /// The file's pages are counted.
    pub(crate) fn new(meter: &'m Meter, file: &'m str, shape: &Shape) -> Self {
        Self {
            meter,
            file,
            counted: shape.bytes,
            held: 0,
        }
    }

    /// Counts what rows hold.
    pub(crate) fn hold(&mut self, bytes: u64) -> Result<(), ReadError> {
        self.held = self.held.saturating_add(bytes);
        let more = self.held.saturating_sub(self.counted);
        self.counted += more;
        self.meter.take(self.file, more)
    }
}

/// Reads a Parquet file in place.
pub(crate) fn read(
    file: &str,
    path: &Path,
    meter: &Meter,
    into: &mut Assembler<'_>,
) -> Result<(), ReadError> {
    let shape = shape(file, path, meter)?;
    check_types(file, &shape.fields)?;
    let mut allowance = Allowance::new(meter, file, &shape);
    let mut offset = 0;
    while offset < shape.rows {
        let frame = slice(file, path, offset, SLICE_ROWS)?;
        if frame.height() == 0 {
            return Err(ends_early(file, offset, shape.rows));
        }
        let line_cap = into.options.line_cap;
        allowance.hold(row_bytes::held(file, &frame, offset, line_cap)?)?;
        read_slice(file, &frame, offset, into)?;
        offset += frame.height() as u64;
    }
    Ok(())
}

/// Decodes some rows of a file.
pub(crate) fn slice(
    file: &str,
    path: &Path,
    offset: u64,
    rows: u32,
) -> Result<DataFrame, ReadError> {
    guarded(file, || {
        let path = PlRefPath::new(path.to_string_lossy());
        let args = ScanArgsParquet {
            glob: false,
            cache: false,
            use_statistics: false,
            ..Default::default()
        };
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        plain(
            LazyFrame::scan_parquet(path, args)?
                .slice(offset, rows)
                .collect()?,
        )
    })
}

/// The frame with texts for categories: pandas and Polars write columns of few texts so.
pub(crate) fn plain(mut frame: DataFrame) -> PolarsResult<DataFrame> {
    let is_category = |of: &DataType| matches!(of, DataType::Categorical(..) | DataType::Enum(..));
    for index in 0..frame.width() {
        let column = &frame.columns()[index];
        let texts = match column.dtype() {
            of if is_category(of) => column.cast(&DataType::String)?,
            DataType::List(of) if is_category(of) => {
                column.cast(&DataType::List(Box::new(DataType::String)))?
            }
            _ => continue,
        };
        frame.replace_column(index, texts)?;
    }
    Ok(frame)
}

pub(crate) fn ends_early(file: &str, at: u64, rows: u64) -> ReadError {
    ReadError::Parquet {
        file: file.to_owned(),
        message: format!("it ends after {at} of {rows} rows"),
    }
}

/// Fails when a column has one type in one file and another in the next.
pub(crate) fn check_drift(sources: &[Source]) -> Result<(), ReadError> {
    let mut seen: Vec<(Field, &str)> = Vec::new();
    for source in sources.iter().filter(|_| sources.len() > 1) {
        let Place::File(path) = &source.place else {
            continue;
        };
        if !is_parquet(path) {
            continue;
        }
        for field in footer(&source.name, path)?.fields {
            match seen.iter().find(|(other, _)| other.name == field.name) {
                Some((first, first_file)) if !agree(first.class, field.class) => {
                    return Err(ReadError::SchemaDrift {
                        column: field.name,
                        first_file: (*first_file).to_owned(),
                        first_type: first.type_name.clone(),
                        second_file: source.name.clone(),
                        second_type: field.type_name,
                    });
                }
                // A column without a single value agrees with all; the first typed one counts.
                Some((first, _)) if first.class != Class::Null => {}
                _ => seen.insert(0, (field, &source.name)),
            }
        }
    }
    Ok(())
}

/// Whole and broken numbers are both numbers; a column of nulls is anything.
fn agree(a: Class, b: Class) -> bool {
    let is_number = |class| matches!(class, Class::Integer | Class::Float | Class::Decimal);
    a == b || a == Class::Null || b == Class::Null || (is_number(a) && is_number(b))
}

pub(crate) fn is_parquet(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut magic))
        .is_ok()
        && magic == *b"PAR1"
}

/// Decoders at work in this process.
static DECODING: AtomicUsize = AtomicUsize::new(0);

/// Whether a Parquet file is being decoded at this moment.
///
/// The decoder may panic on damaged bytes; that is caught and becomes a [`ReadError`], but the
/// panic hook runs nevertheless. A program's hook can ask here and keep silent.
#[must_use]
pub fn is_decoding() -> bool {
    DECODING.load(Ordering::SeqCst) > 0
}

/// Runs the decoder; whatever it does wrong on damaged bytes is an error of the file.
pub(crate) fn guarded<T>(
    file: &str,
    decode: impl FnOnce() -> PolarsResult<T>,
) -> Result<T, ReadError> {
    let failed = |message| ReadError::Parquet {
        file: file.to_owned(),
        message,
    };
    DECODING.fetch_add(1, Ordering::SeqCst);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    DECODING.fetch_sub(1, Ordering::SeqCst);
    match decoded {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(reason(&error.to_string()))),
        Err(_) => Err(failed("its bytes make no sense to the decoder".to_owned())),
    }
}

/// What the decoder says, as far as it is written for people.
fn reason(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    // A value printed for programmers, or the layout of the schema.
    if line.is_empty() || line.contains('{') || line.contains("ARROW:schema") {
        return "the description of its columns is damaged".to_owned();
    }
    let line = line.strip_prefix("parquet: ").unwrap_or(line);
    line.strip_prefix("File out of specification: ")
        .unwrap_or(line)
        .to_owned()
}

/// Reads the file's footer only.
pub(crate) fn footer(file: &str, path: &Path) -> Result<Footer, ReadError> {
    let handle = File::open(path).map_err(|source| ReadError::Io {
        file: file.to_owned(),
        source,
    })?;
    let file_bytes = handle.metadata().map_or(0, |metadata| metadata.len());
    guarded(file, || {
        if let Err(what) = parquet_claims::check_footer(&handle, file_bytes) {
            polars_bail!(ComputeError: "{what}");
        }
        let mut reader = ParquetReader::new(handle);
        let metadata = reader.get_metadata()?.clone();
        // The decoder trusts these offsets without a check of its own.
        let mut claimed = 0_usize;
        for group in &metadata.row_groups {
            let whole = group.full_byte_range();
            for range in group.byte_ranges_iter().chain([whole]) {
                if range.start < MAGIC_BYTES || range.start > range.end || range.end > file_bytes {
                    polars_bail!(ComputeError: "a column lies outside the file");
                }
            }
            claimed = claimed.saturating_add(group.num_rows());
        }
        if claimed != metadata.num_rows {
            polars_bail!(ComputeError: "its row groups do not add up to its rows");
        }
        let schema = reader.schema()?;
        let field =
            |(name, field): (&polars::prelude::PlSmallStr, &polars::prelude::ArrowField)| Field {
                name: name.to_string(),
                class: class_of(&field.dtype),
                type_name: type_name(&field.dtype),
                is_unbounded: is_unbounded(&field.dtype),
            };
        Ok(Footer {
            fields: schema.iter().map(field).collect(),
            metadata,
            file_bytes,
        })
    })
}

/// Reads the footer and the headers of all pages, and counts what the decoder will make room for.
pub(crate) fn shape(file: &str, path: &Path, meter: &Meter) -> Result<Shape, ReadError> {
    let Footer {
        fields,
        metadata,
        file_bytes,
    } = footer(file, path)?;
    let (claimed, deltas) = guarded(file, || claims(path, &metadata))?;
    let mut bytes = claimed.max(file_bytes);
    meter.take(file, bytes)?;
    for (group, column, pages) in deltas {
        let column = &metadata.row_groups[group].parquet_columns()[column];
        let more = guarded(file, || match parquet_deltas::check(path, column, &pages) {
            Ok(bytes) => Ok(bytes),
            Err(what) => polars_bail!(ComputeError: "{what}"),
        })?;
        meter.take(file, more)?;
        bytes = bytes.saturating_add(more);
    }
    Ok(Shape {
        fields,
        rows: metadata.num_rows as u64,
        bytes,
        metadata,
    })
}

/// Pages of a column chunk, which is given by the indices of its group and itself.
type Deltas = Vec<(usize, usize, Vec<parquet_claims::DeltaPage>)>;

/// Bytes that the decoder will make room for, as the footer and the pages' headers tell; a value is
/// a byte at least. And the pages that have numbers of their own to tell.
fn claims(path: &Path, metadata: &FileMetadata) -> PolarsResult<(u64, Deltas)> {
    let handle = File::open(path)?;
    let (mut of_groups, mut of_pages) = (0_u64, 0_u64);
    let mut deltas = Vec::new();
    for (index, group) in metadata.row_groups.iter().enumerate() {
        of_groups = of_groups.saturating_add(group.total_byte_size() as u64);
        for (at, column) in group.parquet_columns().iter().enumerate() {
            let claims = parquet_claims::claims(&handle, column.byte_range(), column.num_values());
            match claims {
                Ok(claims) => {
                    // Even a null of a fixed length takes its place.
                    let width = match column.physical_type() {
                        PhysicalType::FixedLenByteArray(width) => width as u64,
                        _ => 1,
                    };
                    let values = claims.values.saturating_mul(width);
                    of_pages = of_pages.saturating_add(claims.bytes.max(values));
                    if !claims.deltas.is_empty() {
                        deltas.push((index, at, claims.deltas));
                    }
                }
                Err(what) => polars_bail!(ComputeError: "{what}"),
            }
        }
    }
    Ok((of_groups.max(of_pages), deltas))
}

/// Lists of a fixed length: the decoder makes room for the items of a null, too, and cannot hand
/// them on.
fn is_unbounded(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as A;
    match dtype {
        A::FixedSizeList(..) => true,
        A::List(inner) | A::LargeList(inner) | A::Map(inner, _) => is_unbounded(&inner.dtype),
        A::Struct(fields) => fields.iter().any(|field| is_unbounded(&field.dtype)),
        _ => false,
    }
}

fn class_of(dtype: &ArrowDataType) -> Class {
    use ArrowDataType as A;
    match dtype {
        A::Null => Class::Null,
        A::Boolean => Class::Boolean,
        A::Int32 | A::Int64 | A::UInt32 | A::UInt64 => Class::Integer,
        A::Float32 | A::Float64 => Class::Float,
        A::Decimal(..) => Class::Decimal,
        A::Utf8 | A::LargeUtf8 | A::Utf8View => Class::Text,
        A::Dictionary(_, of, _) if class_of(of) == Class::Text => Class::Text,
        A::Timestamp(..) | A::Date32 | A::Date64 => Class::Time,
        A::List(inner) | A::LargeList(inner) => match class_of(&inner.dtype) {
            Class::Integer | Class::Float => Class::Numbers,
            Class::Text => Class::Texts,
            Class::Null => Class::Null,
            _ => Class::Unsupported,
        },
        _ => Class::Unsupported,
    }
}

/// A type in words, without what only matters to the encoder.
fn type_name(dtype: &ArrowDataType) -> String {
    let name = match class_of(dtype) {
        Class::Text => "a text",
        Class::Integer => "a whole number",
        Class::Float => "a float",
        Class::Decimal => "a decimal",
        Class::Boolean => "a boolean",
        Class::Time => "a datetime",
        Class::Numbers => "a list of numbers",
        Class::Texts => "a list of texts",
        Class::Null => "null",
        Class::Unsupported => {
            let name = format!("{dtype:?}");
            let end = name.find(['(', '{', ' ']).unwrap_or(name.len());
            return name[..end].to_lowercase();
        }
    };
    name.to_owned()
}

/// Fails for a type that cannot be decoded in bounds.
pub(crate) fn check_bounded(file: &str, fields: &[Field]) -> Result<(), ReadError> {
    let unbounded = fields.iter().find(|field| field.is_unbounded);
    unbounded.map_or(Ok(()), |field| Err(unsupported(file, field)))
}

fn unsupported(file: &str, field: &Field) -> ReadError {
    ReadError::UnsupportedType {
        file: file.to_owned(),
        column: field.name.clone(),
        got: field.type_name.clone(),
    }
}

pub(crate) fn check_types(file: &str, fields: &[Field]) -> Result<(), ReadError> {
    let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
    require_columns(file, &names)?;
    for field in fields {
        if field.class == Class::Unsupported {
            return Err(unsupported(file, field));
        }
        let Some(column) = Column::named(&field.name) else {
            continue;
        };
        let fits = match column.kind() {
            Kind::Text if column == Column::Model => field.class == Class::Text,
            Kind::Text => matches!(field.class, Class::Text | Class::Integer),
            Kind::Number => {
                matches!(field.class, Class::Integer | Class::Float | Class::Decimal)
            }
            Kind::Count => matches!(field.class, Class::Integer | Class::Float),
            Kind::Time => matches!(field.class, Class::Time | Class::Text | Class::Integer),
            Kind::Flag => field.class == Class::Boolean,
            Kind::Numbers => field.class == Class::Numbers,
            Kind::Texts => field.class == Class::Texts,
        };
        if !fits && field.class != Class::Null {
            return Err(ReadError::WrongType {
                file: file.to_owned(),
                column: field.name.clone(),
                got: field.type_name.clone(),
                wanted: column.wanted(),
            });
        }
    }
    Ok(())
}

fn read_slice(
    file: &str,
    frame: &DataFrame,
    offset: u64,
    into: &mut Assembler<'_>,
) -> Result<(), ReadError> {
    let names: Vec<String> = frame
        .get_column_names()
        .iter()
        .map(ToString::to_string)
        .collect();
    let header = Header::new(names);
    let columns = guarded(file, || {
        frame
            .columns()
            .iter()
            .map(|column| Cells::new(column.as_materialized_series()))
            .collect()
    })?;
    let columns: Vec<Cells> = columns;
    let unit = into.options.timestamp_unit;
    for at in 0..frame.height() {
        let parsed = guarded(
            file,
            || Ok(header.row(unit, |index| columns[index].get(at))),
        )?;
        into.add(
            Spot {
                line: None,
                byte: None,
                row: offset + at as u64 + 1,
            },
            parsed,
        )?;
    }
    Ok(())
}

/// The cells of one column, in the form that is cheapest to reach.
pub(crate) enum Cells {
    Text(StringChunked),
    Unsigned(polars::prelude::UInt64Chunked),
    Signed(polars::prelude::Int64Chunked),
    Float(polars::prelude::Float64Chunked),
    /// Single floats go through their shortest decimal: 0.1 stays 0.1.
    Single(polars::prelude::Float32Chunked),
    /// Decimals, written out: every digit counts.
    Decimal(StringChunked),
    Flag(polars::prelude::BooleanChunked),
    /// Datetimes: a count, and what to multiply or divide it by to get microseconds.
    Time(polars::prelude::Int64Chunked, i64, i64),
    Numbers(ListChunked),
    Texts(ListChunked),
    Null,
}

impl Cells {
    pub(crate) fn new(series: &Series) -> PolarsResult<Self> {
        // One chunk makes access by row a matter of an index.
        let series = series.rechunk();
        let physical = || series.to_physical_repr().cast(&DataType::Int64);
        Ok(match series.dtype() {
            DataType::String => Self::Text(series.str()?.clone()),
            DataType::UInt64 => Self::Unsigned(series.u64()?.clone()),
            DataType::Int32 | DataType::Int64 | DataType::UInt32 => {
                Self::Signed(series.cast(&DataType::Int64)?.i64()?.clone())
            }
            DataType::Float64 => Self::Float(series.f64()?.clone()),
            DataType::Float32 => Self::Single(series.f32()?.clone()),
            DataType::Decimal(..) => Self::Decimal(series.cast(&DataType::String)?.str()?.clone()),
            DataType::Boolean => Self::Flag(series.bool()?.clone()),
            DataType::Datetime(TimeUnit::Nanoseconds, _) => {
                Self::Time(physical()?.i64()?.clone(), 1, 1_000)
            }
            DataType::Datetime(TimeUnit::Microseconds, _) => {
                Self::Time(physical()?.i64()?.clone(), 1, 1)
            }
            DataType::Datetime(TimeUnit::Milliseconds, _) => {
                Self::Time(physical()?.i64()?.clone(), 1_000, 1)
            }
            DataType::Date => Self::Time(physical()?.i64()?.clone(), 86_400_000_000, 1),
            DataType::List(inner) if **inner == DataType::String => {
                Self::Texts(series.list()?.clone())
            }
            DataType::List(_) => Self::Numbers(series.list()?.clone()),
            DataType::Null => Self::Null,
            other => polars_bail!(ComputeError: "type {other} is not handled"),
        })
    }

    pub(crate) fn get(&self, at: usize) -> Result<Cell<'_>, RejectReason> {
        let cell = match self {
            Self::Text(cells) => cells.get(at).map(|text| Cell::Text(text.into())),
            Self::Unsigned(cells) => cells.get(at).map(Cell::Unsigned),
            Self::Signed(cells) => cells.get(at).map(Cell::Signed),
            Self::Float(cells) => cells.get(at).map(Cell::Float),
            Self::Single(cells) => cells
                .get(at)
                .map(|x| Cell::Float(x.to_string().parse().unwrap_or(f64::NAN))),
            Self::Decimal(cells) => cells.get(at).map(Cell::Untyped),
            Self::Flag(cells) => cells.get(at).map(Cell::Flag),
            Self::Time(cells, factor, divisor) => match cells.get(at) {
                Some(count) => Some(Cell::Micros(
                    count.div_euclid(*divisor).checked_mul(*factor).ok_or(
                        RejectReason::BadTime {
                            what: "out of range",
                        },
                    )?,
                )),
                None => None,
            },
            Self::Numbers(cells) => match cells.get_as_series(at) {
                Some(list) => Some(Cell::Numbers(floats(&list)?)),
                None => None,
            },
            Self::Texts(cells) => match cells.get_as_series(at) {
                Some(list) => Some(Cell::Texts(texts(&list)?)),
                None => None,
            },
            Self::Null => None,
        };
        Ok(cell.unwrap_or(Cell::Null))
    }
}

const NULL_IN_LIST: RejectReason = RejectReason::WrongType {
    got: "a null inside a list",
    wanted: "values",
};

fn floats(list: &Series) -> Result<Vec<f32>, RejectReason> {
    let cast = list
        .cast(&DataType::Float32)
        .map_err(|_| RejectReason::NotFinite)?;
    let values = cast.f32().map_err(|_| RejectReason::NotFinite)?;
    values
        .iter()
        .map(|value| value.ok_or(NULL_IN_LIST))
        .collect()
}

fn texts(list: &Series) -> Result<Vec<String>, RejectReason> {
    list.iter()
        .map(|value| match value {
            AnyValue::String(text) => Ok(text.to_owned()),
            AnyValue::StringOwned(text) => Ok(text.to_string()),
            _ => Err(NULL_IN_LIST),
        })
        .collect()
}
