//! The outermost sections of a component. What is nested stays closed: it is validated where it is compiled, in a
//! confined process.

use std::ops::Range;

use domain::manifest::SECTION;
use serde::Serialize;
use wasmparser::{BinaryReaderError, Chunk, Encoding, Parser, Payload};

use super::{ArtifactError, MAX_BYTES};

/// The most imports and exports together; a component names a dozen interfaces.
const MAX_NAMES: usize = 1_000;

/// The most sections; a large component of a language runtime has a few hundred.
const MAX_SECTIONS: usize = 10_000;

/// An outermost section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What it is, or its name where it is a custom section.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) manifests: Vec<Range<usize>>,
    /// The payload of a signature that is the first section, where alone it counts.
    pub(super) signature: Option<Range<usize>>,
    pub(super) listing: Vec<Section>,
}

pub(super) fn scan(bytes: &[u8]) -> Result<Found, ArtifactError> {
    if bytes.len() > MAX_BYTES {
        return Err(ArtifactError::TooLarge(bytes.len()));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(ArtifactError::NotWebAssembly);
    }
    let mut found = Found::default();
    let mut parser = Parser::new(0);
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true).map_err(malformed)?
        else {
            return Err(cut_off(at));
        };
        at += consumed;
        if let Some(nested) = nested(&payload) {
            // The parser has counted these bytes as its own already; they only have to be passed over.
            at = usize::try_from(nested.end).unwrap_or(usize::MAX);
            if at > bytes.len() {
                return Err(cut_off(bytes.len()));
            }
        }
        found.take(&payload)?;
        if matches!(payload, Payload::End(_)) {
            return Ok(found);
        }
    }
}

fn nested(payload: &Payload<'_>) -> Option<Range<u64>> {
    match payload {
        Payload::ModuleSection {
            unchecked_range, ..
        }
        | Payload::ComponentSection {
            unchecked_range, ..
        } => Some(unchecked_range.clone()),
        _ => None,
    }
}

impl Found {
    fn take(&mut self, payload: &Payload<'_>) -> Result<(), ArtifactError> {
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => return Err(ArtifactError::CoreModule),
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    self.imports
                        .push(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    self.exports
                        .push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(custom) => self.take_custom(custom),
            _ => {}
        }
        self.list(payload);
        if self.imports.len() + self.exports.len() > MAX_NAMES || self.listing.len() > MAX_SECTIONS
        {
            return Err(ArtifactError::Malformed {
                offset: 0,
                reason: "it has more sections, imports or exports than any honest component".into(),
            });
        }
        Ok(())
    }

    fn take_custom(&mut self, custom: &wasmparser::CustomSectionReader<'_>) {
        let range = custom.data_offset()..custom.range().end;
        let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end))
        else {
            return;
        };
        if custom.name() == SECTION {
            self.manifests.push(start..end);
        } else if custom.name() == "signature" && self.listing.is_empty() {
            self.signature = Some(start..end);
        }
    }

    fn list(&mut self, payload: &Payload<'_>) {
        let Some((id, range)) = payload.as_section() else {
            return;
        };
        let name = match (id, payload) {
            (_, Payload::CustomSection(custom)) => custom.name().chars().take(64).collect(),
            (1, _) => "core module".into(),
            (2, _) => "core instance".into(),
            (3, _) => "core type".into(),
            (4, _) => "component".into(),
            (5, _) => "instance".into(),
            (6, _) => "alias".into(),
            (7, _) => "type".into(),
            (8, _) => "canonical function".into(),
            (10, _) => "import".into(),
            (11, _) => "export".into(),
            _ => format!("section {id}"),
        };
        self.listing.push(Section {
            name,
            bytes: range.end.saturating_sub(range.start),
        });
    }
}

fn cut_off(at: usize) -> ArtifactError {
    ArtifactError::Malformed {
        offset: at as u64,
        reason: "the file ends in the middle of a section".into(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn malformed(error: BinaryReaderError) -> ArtifactError {
    ArtifactError::Malformed {
        offset: error.offset(),
        reason: error.message().to_owned(),
    }
}
