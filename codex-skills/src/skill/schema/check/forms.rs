//! Words for a value that has none of several forms: which there are, and which one was likely meant.

use serde_json::Value;

use super::cure;
use super::document::{At, Document, Kind};
use super::explain::{
    LIST, PATH, Said, VALUE, found, found_with_names, listed, member, name, none_of, short, words,
};
use super::plan::{Branch, Choice, Id, Plan, Tag, Types};
use super::same;

/// How many references and compositions the forms of a choice are looked for behind.
const DEPTH: usize = 4;
/// How many members of an object are looked at for the name of a form.
const LOOKED_AT: usize = 16;
/// How many members describe an object form.
const MEMBERS: usize = 8;

/// Says that a value has none of the forms that there are.
pub(super) fn no_form(
    document: &Document<'_>,
    at: At,
    path: &str,
    choice: &Choice,
    plan: &Plan,
) -> Said {
    let is_object = document.kind(at) == Kind::Object;
    match &choice.tag {
        Some(Tag::Member { name, values }) if is_object => {
            let own = member(path, name);
            if let Some(again) = document.again(at, name) {
                return Said::twice(path.to_owned(), document, again);
            }
            match document.member(at, name) {
                Some(tag) => Said::at(own, none_of(document, tag, values)),
                None => {
                    let cure = untagged(document, at, name, values);
                    let (own, values) = (short(&own, PATH), listed(values));
                    let text = format!("`{own}` is missing, expected one of {values}{cure}");
                    Said::at(String::new(), text)
                }
            }
        }
        Some(Tag::Name) => {
            let found = found_with_names(document, at);
            let expected = short(&variants(choice).join(", "), LIST);
            let mut cure = cure::of(document, at, Types::OBJECT, None);
            if cure.is_empty() {
                cure = Names::of(choice).cure(document, at).unwrap_or_default();
            }
            Said::at(
                path.to_owned(),
                format!("{found} is not one of {expected}{cure}"),
            )
        }
        tag => {
            let types = choice
                .branches
                .iter()
                .fold(Types::NONE, |all, branch| all.or(branch.outline.types));
            let expected = expected(plan, choice);
            let found = found(document, at);
            let mut cure = cure::of(document, at, types, None);
            if let Some(Tag::Member { name, values }) = tag
                && cure.is_empty()
            {
                cure = cure::of_tag(document, at, name, values).unwrap_or_default();
            }
            let text =
                format!("{found} fits none of the accepted forms, expected {expected}{cure}");
            Said::at(path.to_owned(), text)
        }
    }
}

/// How to name the form of an object that lacks its tag: by the member that has it, or by the only member's name.
fn untagged(document: &Document<'_>, at: At, name: &str, values: &[Value]) -> String {
    let names_a_form = |at| values.iter().any(|value| same::is(document, at, value));
    let members = || document.members(at).take(LOOKED_AT);
    if let Some((key, _)) = members().find(|(_, value)| names_a_form(*value)) {
        let key = short(&self::name(document, key), VALUE);
        return format!(": `{key}` is to be called `{}`", short(name, VALUE));
    }
    let mut keys = members().map(|(key, _)| key);
    match (keys.next().filter(|key| names_a_form(*key)), keys.next()) {
        (Some(key), None) => {
            let key = short(document.text(key), VALUE);
            let name = Value::from(name);
            format!(": write {{{name}: {key}, …}} with its members beside it")
        }
        _ => String::new(),
    }
}

/// The names of the forms that are texts, and of those that are objects with one member.
struct Names<'c> {
    texts: Vec<&'c str>,
    objects: Vec<&'c str>,
}

impl<'c> Names<'c> {
    fn of(choice: &'c Choice) -> Self {
        let branches = || choice.branches.iter().map(|branch| &branch.outline);
        let texts = branches().flat_map(|outline| outline.values.iter().flatten());
        Self {
            texts: texts.filter_map(Value::as_str).collect(),
            objects: branches()
                .filter_map(|outline| outline.required.first().map(String::as_str))
                .collect(),
        }
    }

    /// The form of a name, as it is written.
    fn written(&self, name: &str) -> Option<String> {
        let quoted = Value::from(name);
        if self.texts.contains(&name) {
            return Some(quoted.to_string());
        }
        self.objects
            .contains(&name)
            .then(|| format!("{{{quoted}: …}}"))
    }

    /// The name that was likely meant.
    fn meant(&self, name: &str) -> Option<&'c str> {
        let all: Vec<&str> = self.texts.iter().chain(&self.objects).copied().collect();
        cure::meant(name, &all)
    }

    /// What to write in place of a value that has none of these forms.
    fn cure(&self, document: &Document<'_>, at: At) -> Option<String> {
        match document.kind(at) {
            Kind::Plain | Kind::Escaped => self.of_name(&document.string(at)?),
            Kind::Object => self.of_object(document, at),
            Kind::Array => {
                let mut items = document.items(at);
                let only = items.next().filter(|_| items.next().is_none())?;
                let written = self.written(&document.string(only)?)?;
                Some(format!(": write {written} itself, not in an array"))
            }
            _ => None,
        }
    }

    fn of_name(&self, name: &str) -> Option<String> {
        match self.written(name) {
            Some(written) => Some(format!(": write {written}")),
            None => {
                let written = self.written(self.meant(name)?)?;
                Some(format!(", did you mean {written}?"))
            }
        }
    }

    /// The names that members of an object have.
    fn there<'n>(
        &'n self,
        document: &'n Document<'_>,
        at: At,
    ) -> impl Iterator<Item = &'c str> + 'n {
        let all = self.texts.iter().chain(&self.objects).copied();
        all.filter(move |name| document.member(at, name).is_some())
    }

    fn of_object(&self, document: &Document<'_>, at: At) -> Option<String> {
        let mut there = self.there(document, at);
        let members = || document.members(at).take(LOOKED_AT);
        match (there.next(), there.next()) {
            (Some(first), Some(second)) => {
                let (first, second) = (short(first, VALUE), short(second, VALUE));
                Some(format!(": write only one of `{first}` and `{second}`"))
            }
            (Some(only), None) => {
                let written = self.written(only)?;
                let alone = if members().nth(1).is_some() {
                    " alone"
                } else {
                    ""
                };
                Some(format!(": write {written}{alone}"))
            }
            (None, _) => {
                let mut values = members().filter_map(|(_, value)| document.string(value));
                if let Some(written) = values.find_map(|value| self.written(&value)) {
                    return Some(format!(": write {written}"));
                }
                let (key, _) = members().next()?;
                self.of_name(&document.string(key)?)
            }
        }
    }
}

/// Whether a name is that of a form.
pub(super) fn is_named(choice: &Choice, name: &str) -> bool {
    Names::of(choice).written(name).is_some()
}

/// The form that an object means which has one member, of another name.
pub(super) fn meant<'c>(choice: &'c Choice, name: &str) -> Option<&'c Branch> {
    let name = Names::of(choice).meant(name)?;
    choice.branches.iter().find(|branch| {
        let required = &branch.outline.required;
        required.first().is_some_and(|own| own == name)
    })
}

/// Whether several members of an object name a form each.
pub(super) fn are_several(document: &Document<'_>, at: At, choice: &Choice) -> bool {
    Names::of(choice).there(document, at).nth(1).is_some()
}

/// The forms of a choice, joined by `or`.
pub(super) fn expected(plan: &Plan, choice: &Choice) -> String {
    short(&forms(plan, choice).join(" or "), 2 * LIST)
}

/// The forms of a choice in words, the shortest first, those of the choices that are its forms in their place.
fn forms(plan: &Plan, choice: &Choice) -> Vec<String> {
    let mut all = Forms::default();
    all.collect(plan, choice, DEPTH);
    let Forms { mut said, plain } = all;
    said.sort_by_key(String::len);
    let others = plain.without(Types::NULL);
    if others != Types::NONE {
        said.insert(0, words(others, || "a whole number".to_owned()));
    }
    said.extend(plain.has(Types::NULL).then(|| "null".to_owned()));
    said
}

#[derive(Default)]
struct Forms {
    said: Vec<String>,
    /// The types of forms of which there is no more to say.
    plain: Types,
}

impl Forms {
    fn collect(&mut self, plan: &Plan, choice: &Choice, depth: usize) {
        match &choice.tag {
            Some(Tag::Member { name, values }) => {
                let name = short(name, VALUE);
                self.said.push(match values.as_slice() {
                    [only] => format!(
                        "an object whose `{name}` is {}",
                        short(&only.to_string(), LIST)
                    ),
                    _ => format!("an object whose `{name}` is one of {}", listed(values)),
                });
                for branch in &choice.branches {
                    let others = branch.outline.types.without(Types::OBJECT);
                    self.plain = self.plain.or(others);
                }
            }
            Some(Tag::Name) => {
                self.said.push(variants(choice).join(", "));
                let is_open = |branch: &&Branch| branch.outline.values.is_none();
                for branch in choice.branches.iter().filter(is_open) {
                    let others = branch.outline.types.without(Types::OBJECT);
                    self.plain = self.plain.or(others);
                }
            }
            None => {
                for branch in &choice.branches {
                    match nested_choice(plan, branch.check, depth) {
                        Some(inner) => self.collect(plan, inner, depth - 1),
                        None => self.one(branch),
                    }
                }
            }
        }
    }

    fn one(&mut self, branch: &Branch) {
        let outline = &branch.outline;
        match &outline.values {
            Some(values) if outline.types != Types::NULL => {
                self.said.push(match values.as_slice() {
                    [only] => short(&only.to_string(), LIST),
                    _ => format!("one of {}", listed(values)),
                });
            }
            _ if outline.types == Types::OBJECT && !outline.required.is_empty() => {
                let required = outline.required.iter().take(MEMBERS);
                let names: Vec<String> = required
                    .map(|name| format!("`{}`", short(name, VALUE)))
                    .collect();
                let more = if outline.required.len() > MEMBERS {
                    ", …"
                } else {
                    ""
                };
                let names = names.join(", ");
                self.said.push(format!("an object with {names}{more}"));
            }
            // What takes anything says nothing.
            _ if outline.types == Types::ALL => {}
            _ => self.plain = self.plain.or(outline.types),
        }
    }
}

/// The choice that a schema is, and nothing else.
fn nested_choice(plan: &Plan, id: Id, depth: usize) -> Option<&Choice> {
    depth.checked_sub(1)?;
    let check = plan.check(id);
    let parts = check.parts.as_ref().filter(|_| check.types == Types::ALL)?;
    match (
        parts.choices.as_slice(),
        parts.reference,
        parts.all.as_slice(),
    ) {
        ([only], None, []) => Some(only),
        ([], Some(one), []) => nested_choice(plan, one, depth - 1),
        ([], None, [one]) => nested_choice(plan, *one, depth - 1),
        _ => None,
    }
}

/// The variants of an enumeration whose forms are texts and objects with one member.
fn variants(choice: &Choice) -> Vec<String> {
    let Names { texts, objects } = Names::of(choice);
    let texts = texts.iter().map(|text| Value::from(*text).to_string());
    let objects = objects
        .iter()
        .map(|name| format!("{{{}: …}}", Value::from(*name)));
    texts.chain(objects).collect()
}
