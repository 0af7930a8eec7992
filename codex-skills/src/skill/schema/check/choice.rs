//! Choosing among the branches of `anyOf` and `oneOf`, and which members and items schemas speak of.

use super::compile;
use super::document::{At, Document, Kind};
use super::explain::{self, Nearest};
use super::forms;
use super::plan::{Branch, Check, Choice, Others, Outline, Tag, Types};
use super::same;
use super::walk::{Fit, Ground, Segment, Walk};

/// How a value fits one of several schemas.
pub(super) fn choose<'a>(walk: &mut Walk<'a>, choice: &'a Choice, at: At) -> Fit {
    let document = walk.ground.document;
    if let Some(Tag::Name) = choice.tag
        && walk.ground.plan.of_type
        && let Some(fit) = named(walk, choice, at)
    {
        return fit;
    }
    for exact in [true, false] {
        let mut likely = choice
            .branches
            .iter()
            .filter(|branch| is_likely(document, at, &branch.outline, exact));
        match (likely.next(), likely.next()) {
            (None, _) => {}
            (Some(only), None) => return only_likely(walk, choice, only, at),
            (Some(_), Some(_)) if is_untagged(document, choice, at) => {
                return none(walk, choice, at);
            }
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(likely);
                return judged(walk, choice, at, all.collect());
            }
        }
    }
    none(walk, choice, at)
}

/// Checks the only branch that looks like the value, and names the others where it does not fit.
fn only_likely<'a>(walk: &mut Walk<'a>, choice: &'a Choice, only: &'a Branch, at: At) -> Fit {
    let marks = Marks::of(walk);
    let fit = walk.check(only.check, at);
    let says = |branch: &&Branch| branch.outline.types != Types::NULL;
    if fit > Fit::Respelt
        && walk.is_reporting()
        && choice.tag.is_none()
        && choice.branches.iter().filter(says).nth(1).is_some()
    {
        marks.say_nearest(walk, choice, at);
    }
    fit
}

/// What was found before a form was checked.
struct Marks {
    violations: usize,
    doubts: usize,
}

impl Marks {
    fn of(walk: &Walk<'_>) -> Self {
        Self {
            violations: walk.findings.violations.len(),
            doubts: walk.findings.doubts.len(),
        }
    }

    /// Says of the first thing that is wrong since that it is so in the nearest of several forms.
    fn say_nearest(&self, walk: &mut Walk<'_>, choice: &Choice, at: At) {
        let Ground { document, plan, .. } = walk.ground;
        let (path, findings) = (&walk.path, &mut walk.findings);
        let violation = findings.violations.get_mut(self.violations);
        let doubt = findings.doubts.get_mut(self.doubts);
        if let Some(first) = violation.or(doubt.map(|doubt| &mut doubt.said)) {
            first.in_nearest_form(|| Nearest {
                path: explain::path(document, path.segments()),
                found: explain::found(document, at),
                expected: forms::expected(plan, choice),
            });
        }
    }
}

/// An enumeration whose forms are texts and objects with one member: the text or the name decides. `None` where it
/// does not.
fn named<'a>(walk: &mut Walk<'a>, choice: &'a Choice, at: At) -> Option<Fit> {
    let document = walk.ground.document;
    let kind = document.kind(at);
    let mut by_name = choice.branches.iter().filter(|branch| match kind {
        Kind::Object => {
            let name = branch.outline.required.first();
            name.is_some_and(|name| document.member(at, name).is_some())
        }
        Kind::Plain | Kind::Escaped => match &branch.outline.values {
            Some(values) => values.iter().any(|value| same::is(document, at, value)),
            None => branch.outline.types.has(Types::STRING),
        },
        _ => false,
    });
    let (first, second) = (by_name.next(), by_name.next());
    if kind == Kind::Object && first.is_some() && forms::are_several(document, at, choice) {
        // A type would take one of them, and drop the others.
        return Some(no_form(walk, choice, at));
    }
    match (first, second) {
        (Some(only), None) => Some(walk.check(only.check, at)),
        (Some(_), Some(_)) => None,
        (None, _) => match kind {
            Kind::Object | Kind::Plain | Kind::Escaped => Some(none(walk, choice, at)),
            _ => None,
        },
    }
}

/// Whether a value lacks the tag by which its branch would be known.
fn is_untagged(document: &Document<'_>, choice: &Choice, at: At) -> bool {
    match &choice.tag {
        Some(Tag::Member { name, .. }) if document.kind(at) == Kind::Object => {
            document.member(at, name).is_none()
        }
        _ => false,
    }
}

/// Judges each branch, and takes the first that fits best.
fn judged<'a>(walk: &mut Walk<'a>, choice: &'a Choice, at: At, likely: Vec<&'a Branch>) -> Fit {
    let mut best: Option<(Fit, &Branch)> = None;
    let mut fitting = 0;
    for branch in &likely {
        let fit = walk.judge(branch.check, at);
        fitting += usize::from(fit != Fit::Broken);
        if best.is_none_or(|(least, _)| fit < least) {
            best = Some((fit, branch));
        }
        if fit == Fit::Exact && !choice.exactly_one {
            break;
        }
    }
    if choice.exactly_one && fitting > 1 {
        return walk
            .breaks(|| format!("it fits {fitting} of the accepted forms, expected exactly one"));
    }
    match best {
        Some((Fit::Broken, _)) | None => none_fits(walk, choice, at, &likely),
        Some((fit, _)) if !walk.is_reporting() => fit,
        Some((Fit::Doubtful, branch)) => {
            let is_hinted = hint(walk, choice, at, &likely);
            let first = walk.findings.doubts.len();
            let fit = walk.check(branch.check, at);
            if is_hinted {
                walk.findings.hinted = first..walk.findings.doubts.len();
            }
            fit
        }
        Some((_, branch)) => walk.check(branch.check, at),
    }
}

/// Keeps the words of the nearest branch, for the case that the type reads none, and tells whether it did.
///
/// Once a call, so that the work does not double at each level.
fn hint(walk: &mut Walk<'_>, choice: &Choice, at: At, likely: &[&Branch]) -> bool {
    if std::mem::replace(&mut walk.hinted, true) {
        return false;
    }
    // What is reported here is to be reported again along the branch that is taken.
    let known = std::mem::take(&mut walk.known);
    let findings = &walk.findings;
    let (edits, doubts) = (findings.edits.len(), findings.doubts.len());
    let (violations, more) = (findings.violations.len(), findings.more);
    let (wrong, lacking) = (findings.known.wrong.len(), findings.known.lacking.len());
    none_fits(walk, choice, at, likely);
    walk.known = known;
    let findings = &mut walk.findings;
    findings.more = more;
    findings.edits.truncate(edits);
    findings.known.wrong.truncate(wrong);
    findings.known.lacking.truncate(lacking);
    let said = findings
        .violations
        .split_off(violations.min(findings.violations.len()));
    let doubted = findings.doubts.split_off(doubts.min(findings.doubts.len()));
    if findings.hints.is_empty() {
        findings.hints = said;
        findings
            .hints
            .extend(doubted.into_iter().map(|doubt| doubt.said));
    }
    true
}

/// No branch looks like the value. The text that names a variant may be another name of one, which the type knows.
fn none(walk: &mut Walk<'_>, choice: &Choice, at: At) -> Fit {
    let document = walk.ground.document;
    let tag = match (&choice.tag, document.kind(at)) {
        (Some(Tag::Member { name, .. }), Kind::Object) => document
            .member(at, name)
            .filter(|_| document.again(at, name).is_none()),
        (Some(Tag::Name), Kind::Object) => {
            let mut members = document.members(at);
            members
                .next()
                .map(|(key, _)| key)
                .filter(|_| members.next().is_none())
        }
        (Some(Tag::Name), _) => Some(at),
        _ => None,
    };
    // The name of a form that is written otherwise is no other name of one.
    let is_known = |tag: &At| {
        let name = document.string(*tag);
        name.is_some_and(|name| forms::is_named(choice, &name))
    };
    let tag = tag.filter(|tag| !is_known(tag));
    let is_text = |at: &At| matches!(document.kind(*at), Kind::Plain | Kind::Escaped);
    match (tag.filter(is_text), choice.branches.first()) {
        (Some(tag), Some(branch)) if walk.ground.plan.of_type => {
            let said = |walk: &Walk<'_>| {
                forms::no_form(document, at, &walk.path(), choice, walk.ground.plan)
            };
            let doubt = walk.doubts_so(branch.check, tag, said);
            doubt.max(named_otherwise(walk, choice, at, tag))
        }
        _ => no_form(walk, choice, at),
    }
}

fn no_form(walk: &mut Walk<'_>, choice: &Choice, at: At) -> Fit {
    let Ground { document, plan, .. } = walk.ground;
    walk.breaks_so(|walk| forms::no_form(document, at, &walk.path(), choice, plan))
}

/// How a value fits that may name its form by another name: as the form that it fits best but for the name.
fn named_otherwise(walk: &mut Walk<'_>, choice: &Choice, at: At, tag: At) -> Fit {
    let document = walk.ground.document;
    let Some(Tag::Member { .. }) = choice.tag else {
        return content_named_otherwise(walk, choice, at);
    };
    walk.assumed.insert(tag);
    let forms = choice.branches.iter();
    let forms = forms.filter(|branch| branch.outline.types.has(Types::OBJECT));
    let best = forms
        .clone()
        .map(|branch| (walk.judge(branch.check, at), branch))
        .min_by_key(|(fit, _)| *fit);
    if let Some((_, branch)) = best.filter(|(fit, _)| *fit != Fit::Broken) {
        return walk.check(branch.check, at);
    }
    // None of them: words from the one that has the same members, and else from the type.
    match forms
        .clone()
        .find(|branch| has_members(document, at, &branch.outline))
    {
        Some(branch) => walk.check(branch.check, at),
        None => match choice.branches.first() {
            Some(branch) => walk.ask_about_members(branch.check, at, tag),
            None => Fit::Broken,
        },
    }
}

/// The same of an object with one member, whose name is that of the form.
fn content_named_otherwise(walk: &mut Walk<'_>, choice: &Choice, at: At) -> Fit {
    let document = walk.ground.document;
    let Some((key, value)) = document.members(at).next() else {
        return Fit::Exact;
    };
    if document.kind(at) != Kind::Object {
        return Fit::Exact;
    }
    let plan = walk.ground.plan;
    let content_of = |branch: &Branch| {
        let rules = plan.check(branch.check).object.as_ref()?;
        rules.properties.first().map(|property| property.check)
    };
    // Where it fits none, there is more to say only of the form that was likely meant.
    let name = document.string(key).unwrap_or_default();
    let meant = forms::meant(choice, &name).and_then(content_of);
    let contents = choice.branches.iter().filter_map(content_of);
    let best = contents
        .map(|content| (walk.judge(content, value), content))
        .min_by_key(|(fit, content)| {
            let looks = compile::outline(plan, *content);
            (
                *fit,
                !is_likely(document, value, &looks, true),
                -nearness(document, value, &looks),
            )
        });
    let best = match best {
        Some((Fit::Broken, _)) => meant,
        best => best.map(|(_, content)| content),
    };
    match best {
        Some(content) => walk.inside(Segment::Key(key), content, value),
        None => Fit::Broken,
    }
}

/// Whether an object has the members of a form: all that it needs, and none besides those that it knows.
fn has_members(document: &Document<'_>, at: At, outline: &Outline) -> bool {
    let mut required = outline.required.iter();
    let mut members = document.members(at);
    required.all(|name| document.member(at, name).is_some())
        && members.all(|(key, _)| outline.known.iter().any(|name| document.is(key, name)))
}

/// Several branches look like the value, and none fits: words from the one that comes nearest.
fn none_fits(walk: &mut Walk<'_>, choice: &Choice, at: At, likely: &[&Branch]) -> Fit {
    if !walk.is_reporting() {
        return Fit::Broken;
    }
    let document = walk.ground.document;
    let nearest = likely
        .iter()
        .max_by_key(|branch| nearness(document, at, &branch.outline));
    let Some(nearest) = nearest else {
        return none(walk, choice, at);
    };
    let marks = Marks::of(walk);
    walk.check(nearest.check, at);
    marks.say_nearest(walk, choice, at);
    Fit::Broken
}

/// Takes those out of the members without a place that are members of forms which the object has not, and says so: a type
/// would drop them in silence.
pub(super) fn members_of_forms<'a>(
    walk: &mut Walk<'a>,
    check: &'a Check,
    at: At,
    unknown: &mut Vec<At>,
) -> Fit {
    let document = walk.ground.document;
    let mut fit = Fit::Exact;
    for choice in check.parts.iter().flat_map(|parts| &parts.choices) {
        let is_of = |branch: &Branch, key: At| {
            let known = &branch.outline.known;
            known.iter().any(|name| document.is(key, name))
        };
        let branches = choice.branches.iter();
        let likely: Vec<&Branch> = branches
            .filter(|branch| unknown.iter().any(|key| is_of(branch, *key)))
            .collect();
        let of_forms: Vec<At> = unknown
            .extract_if(.., |key| likely.iter().any(|branch| is_of(branch, *key)))
            .collect();
        if of_forms.is_empty() {
            continue;
        }
        fit = Fit::Broken;
        let is_said =
            matches!(choice.tag, Some(Tag::Name)) && forms::are_several(document, at, choice);
        if is_said {
            continue;
        }
        if chosen(walk, choice, at).is_some() {
            for key in of_forms {
                walk.breaks_inside(Segment::Key(key), key + 1, || {
                    "it is of another form than the rest, leave it out".to_owned()
                });
            }
        } else if choice.branches.iter().any(|branch| {
            branch.outline.known.is_empty() && walk.judge(branch.check, at) != Fit::Broken
        }) {
            // Nothing holds, and none of the others. Without it, that is said where a form is chosen.
            none_fits(walk, choice, at, &likely);
        }
    }
    fit
}

/// The form that a type takes an object for which is flattened into another: the first that fits best, of those of which
/// it has a member.
fn chosen<'a>(walk: &mut Walk<'a>, choice: &'a Choice, at: At) -> Option<&'a Branch> {
    let document = walk.ground.document;
    let has = |name: &String| document.member(at, name).is_some();
    let forms = choice.branches.iter();
    let forms = forms.filter(|branch| branch.outline.known.iter().any(has));
    let judged = forms.map(|branch| (walk.judge(branch.check, at), branch));
    let best = judged.min_by_key(|(fit, _)| *fit);
    best.filter(|(fit, _)| *fit != Fit::Broken)
        .map(|(_, branch)| branch)
}

/// How near an object comes to a form: the members that it shares with it, less those that it lacks or has besides.
fn nearness(document: &Document<'_>, at: At, outline: &Outline) -> i64 {
    if document.kind(at) != Kind::Object {
        return 0;
    }
    let has = |name: &String| document.member(at, name).is_some();
    let shared = outline.known.iter().filter(|name| has(name)).count();
    let lacking = outline.required.iter().filter(|name| !has(name)).count();
    let all = document.members(at).take(1_000).count();
    3 * shared as i64 - lacking as i64 - all.saturating_sub(shared) as i64
}

/// Whether a value looks like a form.
fn is_likely(document: &Document<'_>, at: At, outline: &Outline, exact: bool) -> bool {
    let types = outline.types;
    match document.kind(at) {
        Kind::Null => types.has(Types::NULL),
        Kind::Bool => types.has(Types::BOOL),
        Kind::Number => types.has(Types::INTEGER),
        // A decimal text may stand for a whole number, where no text is wanted.
        Kind::Plain | Kind::Escaped => {
            types.has(Types::STRING) || (!exact && types.has(Types::INTEGER))
        }
        Kind::Array | Kind::DeepArray => types.has(Types::ARRAY),
        Kind::Object => types.has(Types::OBJECT) && has_constants(document, at, outline),
        Kind::DeepObject => types.has(Types::OBJECT),
    }
}

fn has_constants(document: &Document<'_>, at: At, outline: &Outline) -> bool {
    outline.constants.iter().all(|(name, values)| {
        document
            .member(at, name)
            .is_none_or(|value| values.iter().any(|known| same::is(document, value, known)))
    })
}

/// The members of an object that a schema, or one that it is made of, speaks of; sorted.
pub(super) fn covered_members<'a>(
    walk: &mut Walk<'a>,
    check: &'a Check,
    at: At,
    covered: &mut Vec<At>,
) {
    cover_members(walk, check, at, covered, 0);
    covered.sort_unstable();
    covered.dedup();
}

fn cover_members<'a>(
    walk: &mut Walk<'a>,
    check: &'a Check,
    at: At,
    covered: &mut Vec<At>,
    depth: usize,
) {
    let Ground {
        document,
        plan,
        meter,
        ..
    } = walk.ground;
    if let Some(rules) = &check.object {
        let is_open = rules.others != Others::Closed && (depth > 0 || rules.others != Others::Open);
        for (key, _) in document.members(at) {
            let named = rules
                .properties
                .iter()
                .any(|property| document.is(key, &property.name));
            let matched = || {
                let name = document.string(key);
                name.is_some_and(|name| {
                    rules
                        .patterns
                        .iter()
                        .any(|(pattern, _)| pattern.matches(&name, meter))
                })
            };
            let checked = is_open && matches!(rules.others, Others::Checked(_));
            let unevaluated = depth > 0 && rules.unevaluated.is_some();
            if named || checked || unevaluated || matched() {
                covered.push(key);
            }
        }
    }
    for part in holding(walk, check, at, depth) {
        cover_members(walk, plan.check(part), at, covered, depth + 1);
    }
}

/// How many of the first items a schema, or one that it is made of, speaks of.
pub(super) fn covered_items<'a>(walk: &mut Walk<'a>, check: &'a Check, at: At) -> usize {
    cover_items(walk, check, at, 0)
}

fn cover_items<'a>(walk: &mut Walk<'a>, check: &'a Check, at: At, depth: usize) -> usize {
    let plan = walk.ground.plan;
    let own = match &check.array {
        Some(rules) if rules.rest.is_some() || (depth > 0 && rules.unevaluated.is_some()) => {
            usize::MAX
        }
        Some(rules) => rules.first.len(),
        None => 0,
    };
    let mut most = own;
    for part in holding(walk, check, at, depth) {
        most = most.max(cover_items(walk, plan.check(part), at, depth + 1));
    }
    most
}

/// The schemas that a schema is made of, as far as they hold.
fn holding<'a>(
    walk: &mut Walk<'a>,
    check: &'a Check,
    at: At,
    depth: usize,
) -> Vec<super::plan::Id> {
    let Some(parts) = check.parts.as_ref().filter(|_| depth < 16) else {
        return Vec::new();
    };
    let mut all: Vec<_> = parts.reference.iter().chain(&parts.all).copied().collect();
    for choice in &parts.choices {
        if walk.ground.plan.of_type
            && let Some(branch) = chosen(walk, choice, at)
        {
            all.push(branch.check);
            continue;
        }
        for branch in &choice.branches {
            if walk.judge(branch.check, at) != Fit::Broken {
                all.push(branch.check);
            }
        }
    }
    if let Some(condition) = &parts.condition {
        if walk.judge(condition.test, at) != Fit::Broken {
            all.push(condition.test);
            all.extend(condition.then);
        } else {
            all.extend(condition.otherwise);
        }
    }
    all
}
