//! YAML as a tree that knows where each value stands, and that is bounded before it is built.
//!
//! A configuration needs no anchors, aliases, tags or second documents; they are refused, so that
//! nothing in a file can grow.

pub(super) mod scalar;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use super::problem::{At, Problem};

/// 256 KiB: twenty times the example, comments included.
pub(super) const MAX_BYTES: usize = 256 << 10;
/// Four times what the keys need.
const MAX_DEPTH: usize = 32;
/// A tree of a file of the largest size, where every value takes a line of 12 bytes.
const MAX_NODES: usize = 20_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Yaml,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A text, and whether some of it came from the environment: such a text may stand for a number, and
/// is not quoted in messages, since it may be a secret.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) foreign: bool,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: At,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn new(at: At, value: Yaml) -> Self {
        Self { at, value }
    }

    /// What the environment says.
    pub(super) fn foreign(at: At, text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(
            at,
            Yaml::Text(Text {
                text,
                foreign: true,
            }),
        )
    }

    /// The value as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(value) => Value::Bool(*value),
            Yaml::Number(number) => Value::Number(number.clone()),
            Yaml::Text(text) => Value::String(text.text.clone()),
            Yaml::List(items) => items.iter().map(Self::to_json).collect(),
            Yaml::Map(entries) => {
                let fields = entries.iter();
                let fields = fields.map(|entry| (entry.key.clone(), entry.node.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// The value below a key of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Yaml::Map(entries) = &self.value else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.node)
    }

    /// Where a value such as `auth.oidc[0].name` stands, or what is nearest to it.
    pub(super) fn locate(&self, path: &str) -> At {
        let mut node = self;
        for step in path.split(['.', '[']) {
            let below = match (step.strip_suffix(']'), &node.value) {
                (Some(index), Yaml::List(items)) => index
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index)),
                _ => node.get(step),
            };
            match below {
                Some(below) => node = below,
                None => break,
            }
        }
        node.at
    }
}

/// Reads a text. Problems that leave a tree are told beside it; a syntax error ends the reading.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    // Editors of Windows begin a file with it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        open: Vec::new(),
        root: None,
        nodes: 0,
        problems,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => reader.take(event, span),
            Err(error) => {
                let at = At::Line(error.marker().line(), error.marker().col() + 1);
                Err(Problem::new(
                    at,
                    format!("this is not YAML: {}", error.info()),
                ))
            }
        };
        if let Err(problem) = taken {
            reader.problems.push(problem);
            return None;
        }
    }
    reader.root
}

/// A list or a mapping that is being read.
enum Open {
    List(At, Vec<Node>),
    Map(At, Vec<Entry>, Option<(String, At)>),
}

struct Reader<'a> {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = At::Line(span.start.line(), span.start.col() + 1);
        match event {
            Event::Alias(_) => Err(Problem::new(
                at,
                "aliases are not read: write the value out",
            )),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_marks(at, anchor, tag.is_some())?;
                self.scalar(at, &text, style)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_marks(at, anchor, tag.is_some())?;
                self.begin(at, Open::List(at, Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_marks(at, anchor, tag.is_some())?;
                self.begin(at, Open::Map(at, Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(at, items)) => self.place(Node::new(at, Yaml::List(items))),
                Some(Open::Map(at, entries, _)) => self.place(Node::new(at, Yaml::Map(entries))),
                None => Ok(()),
            },
            Event::DocumentStart(_) if self.root.is_some() => Err(Problem::new(
                at,
                "a second document begins: a configuration is one",
            )),
            _ => Ok(()),
        }
    }

    fn refuse_marks(&self, at: At, anchor: usize, is_tagged: bool) -> Result<(), Problem> {
        match (anchor, is_tagged) {
            (0, false) => Ok(()),
            (0, true) => Err(Problem::new(
                at,
                "tags are not read: quote what shall be text",
            )),
            _ => Err(Problem::new(
                at,
                "anchors are not read: write the value out where it is needed",
            )),
        }
    }

    fn begin(&mut self, at: At, open: Open) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("values are nested deeper than {MAX_DEPTH} times");
            return Err(Problem::new(at, message));
        }
        self.open.push(open);
        Ok(())
    }

    fn scalar(&mut self, at: At, text: &str, style: ScalarStyle) -> Result<(), Problem> {
        if let Some(Open::Map(_, entries, key @ None)) = self.open.last_mut() {
            if let Some(first) = entries.iter().find(|entry| entry.key == text) {
                let message = match first.at {
                    At::Line(line, _) => {
                        format!("`{text}` stands here a second time, after line {line}")
                    }
                    At::Variable(_) => format!("`{text}` stands here a second time"),
                };
                self.problems.push(Problem::new(at, message));
            }
            *key = Some((text.to_owned(), at));
            return Ok(());
        }
        let value = match style {
            ScalarStyle::Plain => scalar::resolve(text),
            _ => scalar::text(text),
        };
        self.place(Node::new(at, value))
    }

    /// Puts a value that is complete where it belongs.
    fn place(&mut self, node: Node) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("there are more than {MAX_NODES} values");
            return Err(Problem::new(node.at, message));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some((key, at)) => entries.push(Entry { key, at, node }),
                None => return Err(Problem::new(node.at, "a key must be plain text")),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn tree(text: &str) -> (Option<Node>, Vec<String>) {
        let mut problems = Vec::new();
        let node = read(text, &mut problems);
        (
            node,
            problems
                .into_iter()
                .map(|problem| problem.message)
                .collect(),
        )
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let (node, problems) = tree("a:\n  - b: 1\n    c: [x, 'y']\n");
        let node = node.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(node.to_json(), json!({"a": [{"b": 1, "c": ["x", "y"]}]}));
        assert_eq!(node.locate("a[0].b"), At::Line(2, 8));
        assert_eq!(node.locate("a[0].c[1]"), At::Line(3, 12));
        assert_eq!(
            node.locate("a[0].z.y"),
            At::Line(2, 5),
            "the nearest that is there"
        );
    }

    #[test]
    fn what_could_grow_is_refused() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        assert!(tree(bomb).1[0].contains("anchors"), "{:?}", tree(bomb));
        assert!(tree("a: !!python/object x").1[0].contains("tags"));
        assert!(tree("a: 1\n---\nb: 2\n").1[0].contains("second document"));
        let deep = format!("a: {}", "[".repeat(100_000));
        assert_eq!(tree(&deep).1.len(), 1);
        let wide = format!("a: [{}]", "1,".repeat(MAX_NODES + 1));
        assert!(
            tree(&wide).1[0].contains("more than"),
            "{:?}",
            tree(&wide).1
        );
    }

    #[test]
    fn a_key_that_stands_twice_is_told_with_both_lines() {
        let (_, problems) = tree("a: 1\nb: 2\na: 3\n");
        assert_eq!(problems, ["`a` stands here a second time, after line 1"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            tree(&text);
        }

        #[test]
        fn no_text_of_yaml_marks_panics(text in "[-:?,\\[\\]{}#&*!|>'\"%@` \na0~<=.\t]{0,60}") {
            tree(&text);
        }
    }
}
