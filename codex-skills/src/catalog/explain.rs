//! A catalog as text for its author: what a model is shown of it, where it can be used, and what is not as it was meant.

use std::fmt::{self, Write as _};

use serde_json::Value;

use super::declaration;
use super::rules::{MANAGER_TOOLS, js_identifier};
use super::sealed::Catalog;
use super::skill::CatalogSkill;
use crate::skill::schema::shown::Shown;
use crate::skill::schema::{COMPACT_LIMIT, Form};

impl Catalog {
    /// What a model is shown of this catalog, as text for its author: each tool with its description, the arguments as
    /// direct mode and code mode show them, the size of their schema against codex's budget of 5,000 bytes; what the first
    /// request begins with; which runtimes take the catalog; and the [warnings](Self::warnings).
    ///
    /// Equal catalogs have equal texts: keep one as a snapshot, to review what a change means for a model. Its format may change
    /// with a version of this crate. `println!("{catalog}")` prints it.
    ///
    /// ```
    /// use codex_skills::{Draft, skill, skills};
    ///
    /// /// Double a number.
    /// #[skill]
    /// fn double(
    ///     /// The number.
    ///     number: i8,
    /// ) -> i16 {
    ///     i16::from(number) * 2
    /// }
    ///
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// println!("{}", catalog.explain());
    /// assert!(catalog.explain().contains("tools.double(args: {"));
    /// # Ok::<_, codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = explain(self, &mut text);
        text
    }

    /// Makes warnings an error of a test. In a program, look at [`warnings`](Self::warnings) instead.
    ///
    /// ```
    /// use codex_skills::{Draft, skill, skills};
    ///
    /// /// Say hello.
    /// #[skill]
    /// fn hello() {}
    ///
    /// Draft::new().register(skills![hello]).seal()?.assert_no_warnings();
    /// # Ok::<_, codex_skills::CatalogError>(())
    /// ```
    ///
    /// # Panics
    /// With all warnings, where there are any.
    #[track_caller]
    pub fn assert_no_warnings(&self) {
        let warnings = self.warnings();
        assert!(
            warnings.is_empty(),
            "the catalog has warnings:\n{}",
            warnings.join("\n")
        );
    }
}

/// [`Catalog::explain`].
impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain().trim_end())
    }
}

fn explain(catalog: &Catalog, text: &mut String) -> fmt::Result {
    writeln!(
        text,
        "{}, {} bytes as tools",
        counted(catalog.len(), "skill"),
        catalog.dynamic_tools().get().len()
    )?;
    for skill in catalog {
        explain_skill(skill, text)?;
    }
    let supplement = catalog.supplement();
    if !supplement.is_empty() {
        writeln!(
            text,
            "\nthe first request begins with {} bytes:",
            supplement.len()
        )?;
        push_indented(text, supplement);
    }
    text.push_str("\nruntimes:\n");
    for (runtime, taken) in runtimes(catalog) {
        writeln!(text, "    {runtime}: {taken}")?;
    }
    let warnings = catalog.warnings();
    if warnings.is_empty() {
        return text.write_str("\nno warnings\n");
    }
    writeln!(text, "\n{}:", counted(warnings.len(), "warning"))?;
    for warning in warnings {
        push_indented(text, warning);
    }
    Ok(())
}

fn explain_skill(skill: &CatalogSkill, text: &mut String) -> fmt::Result {
    let shown = Shown::new(skill.input_schema());
    let deferred = if skill.is_deferred() {
        ", found by searching the tools"
    } else {
        ""
    };
    writeln!(
        text,
        "\n{}: {} of {COMPACT_LIMIT} bytes of schema{deferred}",
        skill.qualified_name(),
        shown.bytes()
    )?;
    push_indented(text, skill.description());
    let inlined = skill.input().has_forms().then(|| inlined(skill));
    let newest = if inlined.is_some() {
        " of a codex that keeps `$ref`"
    } else {
        ""
    };
    writeln!(text, "  direct mode{newest}:")?;
    push_indented(text, &shown.schema.to_string());
    if let Some(inlined) = inlined {
        writeln!(text, "  direct mode of others, {} bytes:", inlined.bytes())?;
        push_indented(text, &inlined.schema.to_string());
    }
    writeln!(text, "  code mode:")?;
    let name = js_identifier(skill.namespace(), skill.name());
    let arguments = declaration::arguments(&shown.schema);
    push_indented(text, &format!("tools.{name}(args: {arguments})"));
    Ok(())
}

/// The schema as it is shown by a codex that drops references.
fn inlined(skill: &CatalogSkill) -> Shown {
    let declared = skill.input().in_form(Form::Inlined).get();
    // It was written from values, so that it can be read.
    Shown::new(&serde_json::from_str::<Value>(declared).unwrap_or_default())
}

/// Which runtimes take the catalog.
fn runtimes(catalog: &Catalog) -> [(&'static str, String); 3] {
    let has_namespaces = !catalog.namespaced().is_empty();
    let app_server = if has_namespaces {
        "from codex 0.141 on, which has namespaces"
    } else {
        "yes"
    };
    let manager = if has_namespaces {
        "no: it has no namespaces".to_owned()
    } else if catalog.len() > MANAGER_TOOLS {
        format!("no: a session has {MANAGER_TOOLS} tools at most")
    } else {
        "yes".to_owned()
    };
    [
        ("embedded", "yes".to_owned()),
        ("codex app-server", app_server.to_owned()),
        ("codex-manager", manager),
    ]
}

fn counted(count: usize, of: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {of}{plural}")
}

/// Appends lines, four spaces before each.
fn push_indented(text: &mut String, lines: &str) {
    for line in lines.lines() {
        if !line.is_empty() {
            text.push_str("    ");
            text.push_str(line);
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;
    use crate::catalog::Draft;
    use crate::skill::Skill;

    fn skill(name: &str, schema: Value) -> Skill {
        Skill::builder(name)
            .description("Say it.\n\nIn a loud voice.")
            .input_schema(schema)
            .handler(|_: Value| async { Ok::<_, std::fmt::Error>("said") })
    }

    fn sealed(skills: impl IntoIterator<Item = Skill>) -> Catalog {
        let draft = Draft::new().register(skills.into_iter().collect::<Vec<_>>());
        draft.seal().expect("a catalog")
    }

    fn plain(name: &str) -> Skill {
        skill(
            name,
            json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
        )
    }

    #[test]
    fn a_catalog_explains_what_a_model_is_shown_and_where_it_can_be_used() {
        let text = sealed([plain("say-it")]).to_string();
        assert_eq!(
            text,
            r#"1 skill, 151 bytes as tools

say-it: 55 of 5000 bytes of schema
    Say it.

    In a loud voice.
  direct mode:
    {"properties":{"a":{"type":"integer"}},"type":"object"}
  code mode:
    tools.say_it(args: { a?: number; })

runtimes:
    embedded: yes
    codex app-server: yes
    codex-manager: yes

no warnings"#
        );
    }

    /// Where to send it.
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Address {
        /// The street with the number of the house, as it is written on letters.
        street: String,
        /// The town, without its postal code.
        town: String,
        /// The postal code, with its leading zeros.
        code: String,
    }

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Addresses {
        sender: Address,
        receiver: Address,
        bill: Address,
        customs: Address,
    }

    #[test]
    fn a_codex_that_drops_references_is_explained_where_it_is_shown_something_else() {
        let send = Skill::builder("send")
            .description("Send it.")
            .handler(|_: Addresses| async { Ok::<_, std::fmt::Error>("sent") });
        let text = sealed([send]).explain();
        let (_, newest) = text
            .split_once("  direct mode of a codex that keeps `$ref`:\n")
            .expect("one form");
        let (newest, others) = newest
            .split_once("  direct mode of others, ")
            .expect("another form");
        assert!(newest.contains(r##""$ref":"#/$defs/Address""##), "{text}");
        let (others, code_mode) = others.split_once("  code mode:\n").expect("code mode");
        assert!(!others.contains("$ref"), "{others}");
        assert_eq!(others.matches("as it is written on letters").count(), 4);
        assert_eq!(code_mode.matches("as it is written on letters").count(), 4);
    }

    #[test]
    fn what_a_runtime_does_not_take_is_said() {
        let many = sealed((0..129).map(|at| plain(&format!("skill_{at}")))).explain();
        assert!(many.starts_with("129 skills, "), "{many}");
        assert!(many.contains("codex-manager: no: a session has 128 tools at most\n"));
        assert!(many.contains("codex app-server: yes\n"));

        let namespaced = Draft::new().namespace("loud").register([plain("say")]);
        let namespaced = namespaced.seal().expect("a catalog").explain();
        assert!(namespaced.contains("\nloud.say: "), "{namespaced}");
        assert!(namespaced.contains("tools.loud__say(args: "));
        assert!(namespaced.contains("codex-manager: no: it has no namespaces\n"));
        assert!(
            namespaced.contains("codex app-server: from codex 0.141 on, which has namespaces\n")
        );
    }

    #[test]
    fn a_catalog_without_warnings_passes() {
        sealed([plain("say")]).assert_no_warnings();
        Catalog::empty().assert_no_warnings();
    }

    #[test]
    #[should_panic(expected = "the catalog has warnings:\nskills `a-b`, `a_b` are all `tools.a_b`")]
    fn warnings_fail_a_test_that_wants_none() {
        sealed([plain("a-b"), plain("a_b")]).assert_no_warnings();
    }
}
