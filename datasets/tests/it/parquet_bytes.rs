//! Parquet put together byte by byte, so that it can claim what no writer would: uncompressed, one
//! row group, one page per column, every value required.

/// A column: its type, its name and its only page.
pub(crate) struct Chunk {
    pub(crate) name: &'static str,
    pub(crate) physical: Physical,
    pub(crate) encoding: i64,
    /// Values that the page claims to hold.
    pub(crate) values: i64,
    /// Values that the column claims to hold.
    pub(crate) in_column: i64,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy)]
pub(crate) enum Physical {
    Integer,
    Float,
    Text,
    Fixed(i64),
}

pub(crate) const PLAIN: i64 = 0;
pub(crate) const DELTA_BINARY_PACKED: i64 = 5;
pub(crate) const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
pub(crate) const DELTA_BYTE_ARRAY: i64 = 7;

impl Chunk {
    /// A page of texts as they are.
    pub(crate) fn texts(name: &'static str, texts: &[String]) -> Self {
        let text = |text: &String| {
            let length = u32::try_from(text.len()).expect("a short text");
            [&length.to_le_bytes(), text.as_bytes()].concat()
        };
        Self {
            name,
            physical: Physical::Text,
            encoding: PLAIN,
            values: count(texts.len()),
            in_column: count(texts.len()),
            body: texts.iter().flat_map(text).collect(),
        }
    }

    pub(crate) fn floats(name: &'static str, floats: &[f64]) -> Self {
        Self {
            name,
            physical: Physical::Float,
            encoding: PLAIN,
            values: count(floats.len()),
            in_column: count(floats.len()),
            body: floats.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    pub(crate) fn new(
        name: &'static str,
        physical: Physical,
        encoding: i64,
        values: i64,
        body: Vec<u8>,
    ) -> Self {
        Self {
            name,
            physical,
            encoding,
            values,
            in_column: values,
            body,
        }
    }

    fn physical(&self) -> i64 {
        match self.physical {
            Physical::Integer => 2,
            Physical::Float => 5,
            Physical::Text => 6,
            Physical::Fixed(_) => 7,
        }
    }

    fn page(&self) -> Vec<u8> {
        let size = count(self.body.len());
        let levels = 3;
        let data = Struct::new()
            .int(1, self.values)
            .int(2, self.encoding)
            .int(3, levels)
            .int(4, levels);
        let header = Struct::new().int(1, 0).int(2, size).int(3, size);
        [header.nested(5, data).end(), self.body.clone()].concat()
    }

    fn schema(&self) -> Vec<u8> {
        let schema = Struct::new().int(1, self.physical());
        let schema = match self.physical {
            Physical::Fixed(length) => schema.int(2, length),
            _ => schema,
        };
        let schema = schema.int(3, 0).bytes(4, self.name.as_bytes());
        match self.physical {
            Physical::Text => schema.int(6, 0).end(),
            _ => schema.end(),
        }
    }
}

/// A file of `rows` rows.
pub(crate) fn parquet(rows: usize, chunks: &[Chunk]) -> Vec<u8> {
    let mut file = b"PAR1".to_vec();
    let root = Struct::new().bytes(4, b"log").int(5, count(chunks.len()));
    let (mut schema, mut columns) = (vec![root.end()], Vec::new());
    for chunk in chunks {
        let (page, begin) = (chunk.page(), count(file.len()));
        let size = count(page.len());
        let meta = Struct::new()
            .int(1, chunk.physical())
            .ints(2, &[chunk.encoding])
            .texts(3, &[chunk.name])
            .int(4, 0)
            .long(5, chunk.in_column)
            .long(6, size)
            .long(7, size)
            .long(9, begin);
        columns.push(Struct::new().long(2, begin).nested(3, meta).end());
        schema.push(chunk.schema());
        file.extend(page);
    }
    let group = Struct::new()
        .structs(1, &columns)
        .long(2, count(file.len()))
        .long(3, count(rows));
    let footer = Struct::new()
        .int(1, 1)
        .structs(2, &schema)
        .long(3, count(rows))
        .structs(4, &[group.end()])
        .end();
    let length = u32::try_from(footer.len()).expect("a short footer");
    file.extend(footer);
    file.extend(length.to_le_bytes());
    file.extend(b"PAR1");
    file
}

/// Integers by their differences, in blocks of 128 with 64 bits each.
pub(crate) fn deltas(values: &[i64]) -> Vec<u8> {
    let mut bytes = delta_header(
        128,
        1,
        count(values.len()),
        values.first().copied().unwrap_or(0),
    );
    for block in values.windows(2).collect::<Vec<_>>().chunks(128) {
        let differences = block.iter().map(|pair| pair[1] - pair[0]);
        let least = differences.clone().min().expect("a difference");
        bytes.extend(varint(zigzag(least)));
        bytes.push(64);
        let mut packed: Vec<i64> = differences.map(|difference| difference - least).collect();
        packed.resize(128, 0);
        bytes.extend(packed.into_iter().flat_map(i64::to_le_bytes));
    }
    bytes
}

/// How integers by their differences begin.
pub(crate) fn delta_header(block: u64, widths: u64, values: i64, first: i64) -> Vec<u8> {
    let values = u64::try_from(values).expect("a count");
    let numbers = [block, widths, values, zigzag(first)];
    numbers.into_iter().flat_map(varint).collect()
}

/// Equal integers, however many: the first, and blocks whose differences take no bits.
pub(crate) fn equal(values: i64, value: i64, block: u64) -> Vec<u8> {
    let mut bytes = delta_header(block, 1, values, value);
    for _ in 0..u64::try_from(values - 1).expect("a count").div_ceil(block) {
        bytes.extend([0, 0]);
    }
    bytes
}

fn count(of: usize) -> i64 {
    i64::try_from(of).expect("a count")
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
    bytes
}

/// A structure of Thrift's compact protocol.
struct Struct(Vec<u8>, u8);

impl Struct {
    fn new() -> Self {
        Self(Vec::new(), 0)
    }

    fn field(mut self, id: u8, wire: u8, value: impl IntoIterator<Item = u8>) -> Self {
        self.0.push((id - self.1) << 4 | wire);
        self.0.extend(value);
        Self(self.0, id)
    }

    fn int(self, id: u8, value: i64) -> Self {
        self.field(id, 5, varint(zigzag(value)))
    }

    fn long(self, id: u8, value: i64) -> Self {
        self.field(id, 6, varint(zigzag(value)))
    }

    fn bytes(self, id: u8, value: &[u8]) -> Self {
        self.field(id, 8, sized(value))
    }

    fn nested(self, id: u8, value: Self) -> Self {
        self.field(id, 12, value.end())
    }

    fn ints(self, id: u8, values: &[i64]) -> Self {
        let items: Vec<_> = values.iter().map(|value| varint(zigzag(*value))).collect();
        self.list(id, 5, &items)
    }

    fn texts(self, id: u8, values: &[&str]) -> Self {
        let items: Vec<_> = values.iter().map(|value| sized(value.as_bytes())).collect();
        self.list(id, 8, &items)
    }

    fn structs(self, id: u8, values: &[Vec<u8>]) -> Self {
        self.list(id, 12, values)
    }

    fn list(self, id: u8, wire: u8, items: &[Vec<u8>]) -> Self {
        let length = u8::try_from(items.len()).expect("a short list");
        assert!(length < 15, "a short list");
        let head = vec![length << 4 | wire];
        self.field(id, 9, [head, items.concat()].concat())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(0);
        self.0
    }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len() as u64), bytes.to_vec()].concat()
}
