//! The API's reference as a page: what the OpenAPI document says, arranged for reading.

use serde::Serialize;
use serde_json::{Map, Value};

/// What `docs.html` shows.
#[derive(Debug, Serialize)]
pub(super) struct Reference {
    title: String,
    description: Vec<String>,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: String,
    operations: Vec<Operation>,
}

#[derive(Debug, Serialize)]
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: Vec<String>,
    /// Nobody needs a token.
    open: bool,
    parameters: Vec<Field>,
    request: Option<Body>,
    answers: Vec<Answer>,
}

/// A parameter, or a field of an object.
#[derive(Debug, Serialize)]
struct Field {
    name: String,
    /// Where a parameter stands: path, query, header.
    place: String,
    required: bool,
    shown: Type,
    description: String,
}

/// A type in words, with the schema that it refers to between them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
struct Type {
    before: String,
    link: String,
    after: String,
}

#[derive(Debug, Serialize)]
struct Body {
    kind: String,
    shown: Type,
    fields: Vec<Field>,
}

#[derive(Debug, Serialize)]
struct Answer {
    status: String,
    description: String,
    kind: String,
    shown: Option<Type>,
}

#[derive(Debug, Serialize)]
struct Schema {
    name: String,
    description: Vec<String>,
    shown: Type,
    fields: Vec<Field>,
}

impl Reference {
    /// Arranges an OpenAPI document.
    pub(super) fn of(openapi: &Value) -> Self {
        Self {
            title: text(&openapi["info"], "title"),
            description: paragraphs(&openapi["info"]),
            groups: groups(openapi),
            schemas: entries(&openapi["components"]["schemas"])
                .map(|(name, schema)| Schema {
                    name: name.clone(),
                    description: paragraphs(schema),
                    shown: type_of(schema),
                    fields: fields_of(schema, openapi),
                })
                .collect(),
        }
    }
}

/// The operations by their first tag, in the order of the document.
fn groups(openapi: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (path, item) in entries(&openapi["paths"]) {
        for (method, operation) in entries(item).filter(|(method, _)| is_method(method)) {
            let name = operation["tags"][0].as_str().unwrap_or("other").to_owned();
            let operation = read_operation(method, path, operation, openapi);
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(operation),
                None => groups.push(Group {
                    name,
                    operations: vec![operation],
                }),
            }
        }
    }
    groups
}

fn is_method(word: &str) -> bool {
    matches!(word, "get" | "post" | "put" | "patch" | "delete")
}

fn read_operation(method: &str, path: &str, operation: &Value, openapi: &Value) -> Operation {
    let security = operation["security"].as_array();
    Operation {
        id: text(operation, "operationId"),
        method: method.to_owned(),
        path: path.to_owned(),
        summary: text(operation, "summary"),
        description: paragraphs(operation),
        open: security
            .is_some_and(|rules| rules.iter().all(|rule| *rule == Value::Object(Map::new()))),
        parameters: items(&operation["parameters"])
            .map(read_parameter)
            .collect(),
        request: entries(&operation["requestBody"]["content"])
            .next()
            .map(|(kind, body)| {
                let schema = &body["schema"];
                Body {
                    kind: kind.clone(),
                    shown: type_of(schema),
                    fields: fields_of(resolve(schema, openapi), openapi),
                }
            }),
        answers: entries(&operation["responses"]).map(read_answer).collect(),
    }
}

fn read_parameter(parameter: &Value) -> Field {
    Field {
        name: text(parameter, "name"),
        place: text(parameter, "in"),
        required: parameter["required"] == true,
        shown: type_of(&parameter["schema"]),
        description: text(parameter, "description"),
    }
}

fn read_answer((status, answer): (&String, &Value)) -> Answer {
    let content = entries(&answer["content"]).next();
    Answer {
        status: status.clone(),
        description: text(answer, "description"),
        kind: content.map(|(kind, _)| kind.clone()).unwrap_or_default(),
        shown: content.map(|(_, body)| type_of(&body["schema"])),
    }
}

/// The fields of an object, and of all that it is put together from.
fn fields_of(schema: &Value, openapi: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    for part in items(&schema["allOf"]) {
        fields.extend(fields_of(resolve(part, openapi), openapi));
    }
    let required: Vec<_> = items(&schema["required"])
        .filter_map(Value::as_str)
        .collect();
    fields.extend(entries(&schema["properties"]).map(|(name, field)| Field {
        name: name.clone(),
        place: String::new(),
        required: required.contains(&name.as_str()),
        shown: type_of(field),
        description: text(field, "description"),
    }));
    fields
}

/// A schema, or the one that it refers to.
fn resolve<'a>(schema: &'a Value, openapi: &'a Value) -> &'a Value {
    // Also behind a choice between it and null, as an optional body is written.
    let shown = type_of(schema);
    if shown.link.is_empty() || !shown.before.is_empty() {
        return schema;
    }
    &openapi["components"]["schemas"][shown.link]
}

fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// A type in words.
fn type_of(schema: &Value) -> Type {
    if let Some(name) = referred(schema) {
        return Type {
            link: name.to_owned(),
            ..Type::default()
        };
    }
    // Something or null, as optional fields are written.
    let choices = ["oneOf", "anyOf", "allOf"]
        .iter()
        .flat_map(|key| items(&schema[*key]));
    if let Some(choice) = choices.filter(|choice| choice["type"] != "null").last() {
        return type_of(choice);
    }
    let name = match &schema["type"] {
        Value::String(name) => name.as_str(),
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str);
            names.find(|name| *name != "null").unwrap_or("any")
        }
        _ => "any",
    };
    if name == "array" {
        let item = type_of(&schema["items"]);
        return Type {
            before: format!("list of {}", item.before),
            ..item
        };
    }
    Type {
        before: name.to_owned(),
        ..Type::default()
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().replace('`', "")
}

fn paragraphs(value: &Value) -> Vec<String> {
    let text = text(value, "description");
    let paragraphs = text.split("\n\n").map(|p| p.replace('\n', " "));
    paragraphs.filter(|p| !p.is_empty()).collect()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_is_told_in_words() {
        let link = |name: &str| Type {
            link: name.into(),
            ..Type::default()
        };
        let reference = json!({"$ref": "#/components/schemas/Run"});
        assert_eq!(type_of(&reference), link("Run"));
        assert_eq!(
            type_of(&json!({"oneOf": [{"type": "null"}, reference]})),
            link("Run")
        );
        let list = type_of(&json!({"type": "array", "items": reference}));
        assert_eq!(
            (list.before.as_str(), list.link.as_str()),
            ("list of ", "Run")
        );
        assert_eq!(
            type_of(&json!({"type": ["string", "null"]})).before,
            "string"
        );
        assert_eq!(type_of(&json!({})).before, "any");
    }

    #[test]
    fn an_object_shows_the_fields_of_its_parts() {
        let openapi = json!({"components": {"schemas": {"Part": {
            "properties": {"a": {"type": "string"}}, "required": ["a"]}}}});
        let schema = json!({"allOf": [{"$ref": "#/components/schemas/Part"},
            {"properties": {"b": {"type": "integer"}}}]});
        let fields = fields_of(&schema, &openapi);
        let shown: Vec<_> = fields
            .iter()
            .map(|f| (f.name.as_str(), f.required))
            .collect();
        assert_eq!(shown, [("a", true), ("b", false)]);
    }

    #[test]
    fn operations_are_grouped_by_their_tag() {
        let openapi = json!({"paths": {
            "/a": {"get": {"tags": ["x"], "operationId": "a", "security": [{}]}},
            "/b": {"post": {"tags": ["y"], "operationId": "b"}},
            "/c": {"delete": {"tags": ["x"], "operationId": "c"}}}});
        let groups = groups(&openapi);
        let names: Vec<_> = groups
            .iter()
            .map(|g| (g.name.as_str(), g.operations.len()))
            .collect();
        assert_eq!(names, [("x", 2), ("y", 1)]);
        assert!(groups[0].operations[0].open && !groups[0].operations[1].open);
    }
}
