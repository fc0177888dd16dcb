//! A field of the statistics: a value and what kind of thing it is.
//!
//! The letters are those of the typed output: origin, nature, scope, persistence. Source: management manual,
//! "Typed output format".

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `M`: measured.
    Metric,
    /// `S`: a status, not fully the outcome of a measure.
    Status,
    /// `K`: a key that names the object.
    Key,
    /// `C`: from the configuration.
    Config,
    /// `P`: about the product itself.
    Product,
}

/// What a value tells, and so how several of them may be summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// `G`: a level at this moment.
    Gauge,
    /// `L`: a limit.
    Limit,
    /// `M`: a maximum over time.
    Max,
    /// `R`: events per period.
    Rate,
    /// `C`: a count since the start.
    Counter,
    /// `D`: a duration.
    Duration,
    /// `A`: how long ago something happened.
    Age,
    /// `N`: the name of something.
    Name,
    /// `O`: free text.
    Output,
    /// `a`: an average over time.
    Avg,
}

/// How far a value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `P`: this process.
    Process,
    /// `S`: the whole service, all its processes.
    Service,
}

/// Whether a value may outlive the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// `V`: it ends with the process.
    Volatile,
    /// `P`: a statistics file may carry it over.
    Persistent,
}

/// The four properties of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Where it comes from.
    pub origin: Origin,
    /// What it tells.
    pub nature: Nature,
    /// How far it holds.
    pub scope: Scope,
    /// Whether it may be carried over.
    pub life: Life,
}

impl Tag {
    /// A level measured in this process.
    pub const GAUGE: Self = Self::metric(Nature::Gauge);
    /// A maximum measured in this process.
    pub const MAX: Self = Self::metric(Nature::Max);
    /// A count of this process.
    pub const COUNTER: Self = Self::metric(Nature::Counter);
    /// A rate of this process.
    pub const RATE: Self = Self::metric(Nature::Rate);
    /// A moving average of this process.
    pub const AVG: Self = Self::metric(Nature::Avg);
    /// A duration measured in this process.
    pub const DURATION: Self = Self::metric(Nature::Duration);
    /// Free text measured in this process.
    pub const OUTPUT: Self = Self::metric(Nature::Output);
    /// A count that a statistics file carries.
    pub const KEPT_COUNTER: Self = Self::metric(Nature::Counter).kept();
    /// A rate of the same family of columns.
    pub const KEPT_RATE: Self = Self::metric(Nature::Rate).kept();
    /// An age of the same family of columns.
    pub const KEPT_AGE: Self = Self::metric(Nature::Age).kept();
    /// A limit set in the configuration.
    pub const LIMIT: Self = Self::new(Origin::Config, Nature::Limit, Scope::Process);
    /// A setting of the service.
    pub const SETTING: Self = Self::new(Origin::Config, Nature::Gauge, Scope::Service);
    /// A name set in the configuration.
    pub const SET_NAME: Self = Self::new(Origin::Config, Nature::Name, Scope::Service);
    /// Free text set in the configuration.
    pub const SET_TEXT: Self = Self::new(Origin::Config, Nature::Output, Scope::Service);
    /// The name of the object.
    pub const KEY_NAME: Self = Self::new(Origin::Key, Nature::Name, Scope::Service);
    /// A number of the object, known to the whole service.
    pub const KEY_NUMBER: Self = Self::new(Origin::Key, Nature::Gauge, Scope::Service);
    /// A number of the process.
    pub const KEY_PROCESS: Self = Self::new(Origin::Key, Nature::Gauge, Scope::Process);
    /// A status.
    pub const STATUS: Self = Self::new(Origin::Status, Nature::Gauge, Scope::Process);
    /// About the product.
    pub const PRODUCT: Self = Self::new(Origin::Product, Nature::Output, Scope::Service);

    /// A volatile field.
    pub const fn new(origin: Origin, nature: Nature, scope: Scope) -> Self {
        Self {
            origin,
            nature,
            scope,
            life: Life::Volatile,
        }
    }

    const fn metric(nature: Nature) -> Self {
        Self::new(Origin::Metric, nature, Scope::Process)
    }

    const fn kept(self) -> Self {
        Self {
            life: Life::Persistent,
            ..self
        }
    }

    /// The four letters.
    pub fn letters(self) -> [u8; 4] {
        [
            match self.origin {
                Origin::Metric => b'M',
                Origin::Status => b'S',
                Origin::Key => b'K',
                Origin::Config => b'C',
                Origin::Product => b'P',
            },
            match self.nature {
                Nature::Gauge => b'G',
                Nature::Limit => b'L',
                Nature::Max => b'M',
                Nature::Rate => b'R',
                Nature::Counter => b'C',
                Nature::Duration => b'D',
                Nature::Age => b'A',
                Nature::Name => b'N',
                Nature::Output => b'O',
                Nature::Avg => b'a',
            },
            match self.scope {
                Scope::Process => b'P',
                Scope::Service => b'S',
            },
            match self.life {
                Life::Volatile => b'V',
                Life::Persistent => b'P',
            },
        ]
    }

    /// Origin, nature and scope as JSON output spells them.
    pub fn words(self) -> [&'static str; 3] {
        [
            match self.origin {
                Origin::Metric => "Metric",
                Origin::Status => "Status",
                Origin::Key => "Key",
                Origin::Config => "Config",
                Origin::Product => "Product",
            },
            match self.nature {
                Nature::Gauge => "Gauge",
                Nature::Limit => "Limit",
                Nature::Max => "Max",
                Nature::Rate => "Rate",
                Nature::Counter => "Counter",
                Nature::Duration => "Duration",
                Nature::Age => "Age",
                Nature::Name => "Name",
                Nature::Output => "Output",
                Nature::Avg => "Avg",
            },
            match self.scope {
                Scope::Process => "Process",
                Scope::Service => "Service",
            },
        ]
    }
}

/// A value. Types are part of the typed output, so each row always gives the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// The column has no meaning for this object at present.
    Empty,
    /// Signed 32 bits.
    S32(i32),
    /// Unsigned 32 bits.
    U32(u32),
    /// Unsigned 64 bits.
    U64(u64),
    /// A number with a fraction.
    Flt(f64),
    /// Text of the configuration or the program.
    Str(&'a str),
    /// Text made for the occasion.
    Text(String),
}

impl Value<'_> {
    /// Name of the type in typed and JSON output; `None` for an empty value.
    pub fn type_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Empty => return None,
            Self::S32(_) => "s32",
            Self::U32(_) => "u32",
            Self::U64(_) => "u64",
            Self::Flt(_) => "flt",
            Self::Str(_) | Self::Text(_) => "str",
        })
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Writes the value as it is, text unquoted, fractions without trailing zeros.
    pub fn print(&self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Empty => return,
            Self::S32(n) => n.to_string(),
            Self::U32(n) => n.to_string(),
            Self::U64(n) => n.to_string(),
            Self::Flt(n) => format!("{n:.6}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned(),
            Self::Str(text) => return out.extend_from_slice(text.as_bytes()),
            Self::Text(text) => return out.extend_from_slice(text.as_bytes()),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(value: &Value<'_>) -> String {
        let mut out = Vec::new();
        value.print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_printed_short() {
        assert_eq!(printed(&Value::Flt(1.5)), "1.5");
        assert_eq!(printed(&Value::Flt(100.0)), "100");
        assert_eq!(printed(&Value::Flt(1_795_359_279.388_529)), "1795359279.388529");
        assert_eq!(printed(&Value::S32(-1)), "-1");
        assert_eq!(printed(&Value::Empty), "");
        assert_eq!(Value::Empty.type_name(), None);
        assert_eq!(Value::Text("x".into()).type_name(), Some("str"));
    }

    #[test]
    fn letters_and_words_agree() {
        assert_eq!(&Tag::KEY_NAME.letters(), b"KNSV");
        assert_eq!(&Tag::KEPT_COUNTER.letters(), b"MCPP");
        assert_eq!(&Tag::AVG.letters(), b"MaPV");
        assert_eq!(Tag::SETTING.words(), ["Config", "Gauge", "Service"]);
    }
}
