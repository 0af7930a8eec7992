//! Lists the public items of a crate from rustdoc's JSON, one a line and sorted: what a release may not change without
//! saying so. `.ci/public-api` runs it and compares the list with the one that is kept.

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: public_api FILE.json");
        return ExitCode::FAILURE;
    };
    let json = match std::fs::read_to_string(&file) {
        Ok(json) => json,
        Err(error) => {
            eprintln!("{file} cannot be read: {error}");
            return ExitCode::FAILURE;
        }
    };
    match serde_json::from_str::<Value>(&json) {
        Ok(docs) => {
            let mut listing = Listing {
                index: &docs["index"],
                lines: BTreeSet::new(),
            };
            listing.module(&docs["root"], "");
            for line in listing.lines {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{file} is no JSON: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Listing<'a> {
    index: &'a Value,
    lines: BTreeSet<String>,
}

impl<'a> Listing<'a> {
    fn item(&self, id: &Value) -> &'a Value {
        &self.index[id.to_string()]
    }

    fn items(&self, ids: &'a Value) -> impl Iterator<Item = &'a Value> + use<'a> {
        let index = self.index;
        list(ids)
            .map(move |id| &index[id.to_string()])
            .filter(|item| !is_hidden(item))
    }

    fn module(&mut self, id: &Value, path: &str) {
        let module = self.item(id);
        let path = join(path, name(module));
        self.lines.insert(format!("mod {path}"));
        for item in self.items(&module["inner"]["module"]["items"]) {
            self.entry(item, &path, name(item));
        }
    }

    /// An item of a module, or one that is shown there, under the name that it has there.
    fn entry(&mut self, item: &'a Value, path: &str, name: &str) {
        let (kind, inner) = kind(item);
        let path = join(path, name);
        match kind {
            "use" => {
                let shown = self.item(&inner["id"]);
                let name = inner["name"].as_str().unwrap_or_default().to_owned();
                let path = path.rsplit_once("::").map_or("", |(module, _)| module);
                if shown.is_null() {
                    let source = inner["source"].as_str().unwrap_or_default();
                    self.lines.insert(format!("use {path}::{name} = {source}"));
                } else if inner["is_glob"] == true {
                    for item in self.items(&shown["inner"]["module"]["items"]) {
                        self.entry(item, path, self::name(item));
                    }
                } else {
                    self.entry(shown, path, &name);
                }
            }
            "module" => {
                self.lines.insert(format!("mod {path}"));
                for item in self.items(&inner["items"]) {
                    self.entry(item, &path, self::name(item));
                }
            }
            "struct" => self.structure(inner, &path),
            "enum" => self.enumeration(inner, &path),
            "trait" => {
                let bounds = bounds(&inner["bounds"]);
                let head = format!("trait {path}{}", generics(&inner["generics"]));
                let head = if bounds.is_empty() {
                    head
                } else {
                    format!("{head}: {bounds}")
                };
                self.lines.insert(head);
                for member in self.items(&inner["items"]) {
                    self.member(member, &path);
                }
            }
            "type_alias" => {
                let alias = ty(&inner["type"]);
                self.lines.insert(format!(
                    "type {path}{} = {alias}",
                    generics(&inner["generics"])
                ));
            }
            "macro" | "proc_macro" => {
                self.lines.insert(format!("macro {path}!"));
            }
            _ => self.member(
                item,
                path.rsplit_once("::").map_or("", |(module, _)| module),
            ),
        }
    }

    fn structure(&mut self, inner: &'a Value, path: &str) {
        let shape = generics(&inner["generics"]);
        self.lines.insert(format!("struct {path}{shape}"));
        let kind = &inner["kind"];
        for field in self.items(&kind["plain"]["fields"]) {
            let line = format!(
                "field {path}::{}: {}",
                name(field),
                ty(&field["inner"]["struct_field"])
            );
            self.lines.insert(line);
        }
        for (at, id) in list(&kind["tuple"])
            .enumerate()
            .filter(|(_, id)| !id.is_null())
        {
            let field = &self.item(id)["inner"]["struct_field"];
            self.lines
                .insert(format!("field {path}::{at}: {}", ty(field)));
        }
        self.implementations(inner, path);
    }

    fn enumeration(&mut self, inner: &'a Value, path: &str) {
        self.lines
            .insert(format!("enum {path}{}", generics(&inner["generics"])));
        for variant in self.items(&inner["variants"]) {
            let path = format!("{path}::{}", name(variant));
            let kind = &variant["inner"]["variant"]["kind"];
            let types = list(&kind["tuple"]).map(|id| ty(&self.item(id)["inner"]["struct_field"]));
            let types: Vec<String> = types.collect();
            let shown = if types.is_empty() {
                String::new()
            } else {
                format!("({})", types.join(", "))
            };
            self.lines.insert(format!("variant {path}{shown}"));
            for field in self.items(&kind["struct"]["fields"]) {
                let line = format!(
                    "field {path}::{}: {}",
                    name(field),
                    ty(&field["inner"]["struct_field"])
                );
                self.lines.insert(line);
            }
        }
        self.implementations(inner, path);
    }

    fn implementations(&mut self, inner: &'a Value, path: &str) {
        for id in list(&inner["impls"]) {
            let block = &self.item(id)["inner"]["impl"];
            // Not those that the compiler or another crate gives to all types.
            if block.is_null() || block["is_synthetic"] == true || !block["blanket_impl"].is_null()
            {
                continue;
            }
            if block["trait"].is_null() {
                for member in self.items(&block["items"]) {
                    self.member(member, path);
                }
            } else {
                let line = format!("impl {} for {path}", named(&block["trait"]));
                self.lines.insert(line);
            }
        }
    }

    fn member(&mut self, item: &Value, path: &str) {
        let (kind, inner) = kind(item);
        let path = join(path, name(item));
        let line = match kind {
            "function" => {
                let header = &inner["header"];
                let mut words = String::new();
                for (flag, word) in [("is_const", "const "), ("is_async", "async ")] {
                    if header[flag] == true {
                        words.push_str(word);
                    }
                }
                format!(
                    "{words}fn {path}{}{}",
                    generics(&inner["generics"]),
                    signature(&inner["sig"])
                )
            }
            "constant" => format!("const {path}: {}", ty(&inner["type"])),
            "assoc_const" => format!("const {path}: {}", ty(&inner["type"])),
            "assoc_type" => format!("type {path}: {}", bounds(&inner["bounds"])),
            "static" => format!("static {path}: {}", ty(&inner["type"])),
            other => format!("{other} {path}"),
        };
        self.lines.insert(line);
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}::{name}")
    }
}

fn is_hidden(item: &Value) -> bool {
    let public = matches!(item["visibility"].as_str(), Some("public" | "default"));
    !public || item["attrs"].to_string().contains("doc(hidden)")
}

/// The only key of `inner`, and its value.
fn kind(item: &Value) -> (&str, &Value) {
    let inner = item["inner"].as_object();
    inner
        .and_then(|inner| inner.iter().next())
        .map_or(("", &Value::Null), |(kind, inner)| (kind.as_str(), inner))
}

fn signature(sig: &Value) -> String {
    let inputs = list(&sig["inputs"]).map(|input| {
        let (name, of) = (input[0].as_str().unwrap_or_default(), ty(&input[1]));
        match (name, of.as_str()) {
            ("self", "Self") => "self".to_owned(),
            ("self", "&Self") => "&self".to_owned(),
            ("self", "&mut Self") => "&mut self".to_owned(),
            _ => format!("{name}: {of}"),
        }
    });
    let inputs: Vec<String> = inputs.collect();
    let output = &sig["output"];
    let output = if output.is_null() {
        String::new()
    } else {
        format!(" -> {}", ty(output))
    };
    format!("({}){output}", inputs.join(", "))
}

fn generics(generics: &Value) -> String {
    let params = list(&generics["params"]).filter_map(|param| {
        let kind = &param["kind"];
        // `impl Trait` stands at the parameter.
        if kind["type"]["is_synthetic"] == true {
            return None;
        }
        let bounds = bounds(&kind["type"]["bounds"]);
        let name = name(param);
        Some(match (&kind["const"], bounds.is_empty()) {
            (Value::Null, true) => name.to_owned(),
            (Value::Null, false) => format!("{name}: {bounds}"),
            (constant, _) => format!("const {name}: {}", ty(&constant["type"])),
        })
    });
    let params: Vec<String> = params.collect();
    let predicates = list(&generics["where_predicates"]).filter_map(|predicate| {
        let bound = &predicate["bound_predicate"];
        (!bound.is_null()).then(|| format!("{}: {}", ty(&bound["type"]), bounds(&bound["bounds"])))
    });
    let predicates: Vec<String> = predicates.collect();
    let mut text = if params.is_empty() {
        String::new()
    } else {
        format!("<{}>", params.join(", "))
    };
    if !predicates.is_empty() {
        text.push_str(&format!(" where {}", predicates.join(", ")));
    }
    text
}

fn bounds(bounds: &Value) -> String {
    let all = list(bounds).filter_map(|bound| {
        if let Some(lifetime) = bound["outlives"].as_str() {
            return Some(lifetime.to_owned());
        }
        let bound = &bound["trait_bound"];
        let mark = if bound["modifier"] == "maybe" {
            "?"
        } else {
            ""
        };
        (!bound.is_null()).then(|| format!("{mark}{}", named(&bound["trait"])))
    });
    all.collect::<Vec<_>>().join(" + ")
}

/// A path with its arguments.
fn named(path: &Value) -> String {
    let full = path["path"]
        .as_str()
        .or(path["name"].as_str())
        .unwrap_or_default();
    let short = full.rsplit("::").next().unwrap_or(full);
    format!("{short}{}", arguments(&path["args"]))
}

fn arguments(args: &Value) -> String {
    let angle = &args["angle_bracketed"];
    if !angle.is_null() {
        let given = list(&angle["args"]).map(|arg| match arg["lifetime"].as_str() {
            Some(lifetime) => lifetime.to_owned(),
            None if arg["const"].is_null() => ty(&arg["type"]),
            None => arg["const"]["expr"].as_str().unwrap_or_default().to_owned(),
        });
        let bound = list(&angle["constraints"]).map(|constraint| {
            let binding = &constraint["binding"];
            format!(
                "{} = {}",
                name(constraint),
                ty(&binding["equality"]["type"])
            )
        });
        let all: Vec<String> = given.chain(bound).collect();
        return if all.is_empty() {
            String::new()
        } else {
            format!("<{}>", all.join(", "))
        };
    }
    let call = &args["parenthesized"];
    if call.is_null() {
        return String::new();
    }
    let inputs: Vec<String> = list(&call["inputs"]).map(ty).collect();
    let output = &call["output"];
    let output = if output.is_null() {
        String::new()
    } else {
        format!(" -> {}", ty(output))
    };
    format!("({}){output}", inputs.join(", "))
}

fn ty(of: &Value) -> String {
    let Some((kind, inner)) = of.as_object().and_then(|of| of.iter().next()) else {
        return of.as_str().unwrap_or("_").to_owned();
    };
    match kind.as_str() {
        "resolved_path" => named(inner),
        "generic" | "primitive" => inner.as_str().unwrap_or_default().to_owned(),
        "tuple" => format!("({})", list(inner).map(ty).collect::<Vec<_>>().join(", ")),
        "slice" => format!("[{}]", ty(inner)),
        "array" => format!(
            "[{}; {}]",
            ty(&inner["type"]),
            inner["len"].as_str().unwrap_or_default()
        ),
        "borrowed_ref" => {
            let lifetime = inner["lifetime"].as_str().map(|name| format!("{name} "));
            let mutable = if inner["is_mutable"] == true {
                "mut "
            } else {
                ""
            };
            format!(
                "&{}{mutable}{}",
                lifetime.unwrap_or_default(),
                ty(&inner["type"])
            )
        }
        "impl_trait" => format!("impl {}", bounds(inner)),
        "dyn_trait" => {
            let traits = list(&inner["traits"]).map(|of| named(&of["trait"]));
            let lifetime = inner["lifetime"].as_str().map(str::to_owned);
            format!(
                "dyn {}",
                traits.chain(lifetime).collect::<Vec<_>>().join(" + ")
            )
        }
        "function_pointer" => format!("fn{}", signature(&inner["sig"])),
        "qualified_path" => {
            let of = ty(&inner["self_type"]);
            let name = name(inner);
            match &inner["trait"] {
                Value::Null => format!("{of}::{name}"),
                of_trait => format!("<{of} as {}>::{name}", named(of_trait)),
            }
        }
        other => other.to_owned(),
    }
}
