//! The members of objects: which are there, which must be, and which have no place.

use std::collections::HashSet;
use std::rc::Rc;

use super::choice;
use super::compile;
use super::document::{At, Document, Kind};
use super::explain;
use super::explain::Said;
use super::names::Names;
use super::plan::{Check, Dependent, Id, ObjectRules, Others};
use super::refusals::Place;
use super::walk::{About, Doubt, Edit, Fit, Segment, VIOLATIONS, Walk};

impl<'a> Walk<'a> {
    /// How an object fits.
    pub(super) fn object(
        &mut self,
        check: &'a Check,
        rules: &'a ObjectRules,
        id: Id,
        at: At,
    ) -> Fit {
        let document = self.document();
        let mut fit = Fit::Exact;
        let mut seen = Seen::new(rules.properties.len());
        let mut count = 0;
        let mut unknown = Vec::new();
        let mut unlisted = 0;
        for (key, value) in document.members(at) {
            count += 1;
            fit = fit.max(match find(document, rules, key) {
                Some(position) => {
                    let twice = seen.mark(position);
                    let one = self.property(rules, position, key, value);
                    if twice {
                        one.max(self.breaks_so(|walk| Said::twice(walk.path(), document, key)))
                    } else {
                        one
                    }
                }
                None => {
                    unlisted += usize::from(!self.is_known_outside(key, at));
                    self.other(rules, key, value, &mut unknown)
                }
            });
            fit = fit.max(match (&rules.keys, rules.names) {
                (Some(names), _) => self.key(names, key),
                (None, Some(names)) => self.name(names, key),
                (None, None) => Fit::Exact,
            });
            if self.is_over(fit) {
                return fit;
            }
        }
        let missing = missing(rules, &seen, document, at);
        if !missing.is_empty() || !unknown.is_empty() {
            let plan = self.ground.plan;
            let aliases = plan.of_type && unlisted > 0 && (id != plan.root || plan.aliases_at_root);
            fit = fit.max(self.members(id, &missing, &unknown, aliases));
        }
        if let Some(said) = explain::count(count, rules.least, rules.most, ["member", "members"]) {
            fit = fit.max(self.breaks(|| said));
        }
        fit = fit.max(self.dependent(rules, at));
        if let Some(others) = rules.unevaluated {
            fit = fit.max(self.unevaluated(check, others, id, at));
        }
        fit
    }

    fn property(&mut self, rules: &'a ObjectRules, position: usize, key: At, value: At) -> Fit {
        let Some(property) = rules.properties.get(position) else {
            return Fit::Exact;
        };
        if self.document().kind(value) == Kind::Null
            && !property.required
            && (property.has_default || self.judge(property.check, value) == Fit::Broken)
        {
            self.edit(key, || Edit::Removed);
            return Fit::Respelt;
        }
        self.inside(Segment::Key(key), property.check, value)
    }

    /// A member without a property.
    fn other(&mut self, rules: &'a ObjectRules, key: At, value: At, unknown: &mut Vec<At>) -> Fit {
        let mut fit = Fit::Exact;
        let mut matched = false;
        if !rules.patterns.is_empty() {
            let name = self.document().string(key);
            for (pattern, inner) in &rules.patterns {
                let meter = self.ground.meter;
                if name
                    .as_ref()
                    .is_some_and(|name| pattern.matches(name, meter))
                {
                    matched = true;
                    fit = fit.max(self.inside(Segment::Key(key), *inner, value));
                }
            }
        }
        if matched {
            return fit;
        }
        match rules.others {
            Others::Open => {}
            // Of names that are known there is more to say.
            Others::Closed if rules.keys.is_some() => {}
            Others::Closed if self.document().string(key).is_none() => {
                fit = fit.max(self.breaks(|| explain::HALF.to_owned()));
            }
            Others::Closed if rules.properties.is_empty() && !rules.patterns.is_empty() => {
                let patterns = rules.patterns.iter().map(|(pattern, _)| pattern);
                let document = self.document();
                fit = fit.max(self.breaks(|| explain::no_name(document, key, patterns)));
            }
            Others::Closed => unknown.push(key),
            Others::Checked(inner) => fit = fit.max(self.inside(Segment::Key(key), inner, value)),
        }
        fit
    }

    /// The name of a map's member, where its keys are no texts.
    fn key(&mut self, names: &Names, key: At) -> Fit {
        let document = self.document();
        let name = document.string(key);
        if name.as_ref().is_some_and(|name| names.has(name)) {
            return Fit::Exact;
        }
        let here = std::mem::replace(&mut self.here, Place::of_member(key));
        let fit = self.breaks(|| match name {
            Some(name) => {
                let shown = explain::name(document, key);
                format!("the name `{shown}` is not {}", names.wanted(&name))
            }
            None => explain::HALF.to_owned(),
        });
        self.here = here;
        fit
    }

    fn name(&mut self, names: Id, key: At) -> Fit {
        let fit = self.judge(names, key);
        if fit == Fit::Broken && self.reporting {
            let (before, more) = (self.findings.violations.len(), self.findings.more);
            self.check(names, key);
            // The words are those of the name, at the object that has it.
            for said in self.findings.violations.iter_mut().skip(before) {
                said.of_name();
            }
            if self.findings.violations.len() == before && self.findings.more == more {
                return self.breaks(|| "a name does not fit".to_owned());
            }
        }
        fit
    }

    /// Whether a member is one of the object that a form is flattened into.
    fn is_known_outside(&self, key: At, at: At) -> bool {
        let outside = self.outside.filter(|(object, _)| *object == at);
        outside.is_some_and(|(_, rules)| find(self.document(), rules, key).is_some())
    }

    /// Members that are missing, or that have no place.
    fn members(&mut self, id: Id, missing: &[&str], unknown: &[At], aliases: bool) -> Fit {
        if !self.reporting {
            return if aliases { Fit::Doubtful } else { Fit::Broken };
        }
        let room = self.doubts_most.saturating_sub(self.findings.doubts.len());
        let fresh: Vec<At> = unknown
            .iter()
            .copied()
            .filter(|key| aliases && !self.is_asked(id, *key))
            .take(room + 1)
            .collect();
        let is_refused = !aliases || fresh.len() > room;
        if is_refused && self.findings.violations.len() >= VIOLATIONS && !self.is_at_root() {
            self.findings.more += missing.len() + unknown.len();
            return Fit::Broken;
        }
        // Decoding tells whether they are there by other names: for all objects of this schema at once.
        let is_missing =
            |doubt: &Doubt| doubt.check == id && matches!(doubt.about, About::Missing { .. });
        let asks_missing = !missing.is_empty() && !self.findings.doubts.iter().any(is_missing);
        if !is_refused && fresh.is_empty() && !asks_missing {
            return Fit::Doubtful;
        }
        // Only now: arguments may have a hundred thousand objects of which nothing is said.
        let all = explain::Members {
            path: self.path(),
            missing: missing.iter().map(|name| (*name).to_owned()).collect(),
            unknown: unknown
                .iter()
                .take(VIOLATIONS)
                .map(|key| explain::name(self.document(), *key))
                .collect(),
            known: self.names(id),
        };
        if is_refused {
            let findings = &mut self.findings;
            findings.more += unknown.len().saturating_sub(VIOLATIONS);
            findings.violations.extend(all.said());
            let places = unknown.iter().take(VIOLATIONS);
            findings
                .known
                .wrong
                .extend(places.map(|key| Place::of_member(*key)));
            findings.known.lacking.push(self.here.at);
            return Fit::Broken;
        }
        for key in fresh {
            let about = About::Member { key };
            let said = all.unknown(self.document(), key);
            self.findings.doubts.push(Doubt {
                check: id,
                about,
                said,
            });
        }
        if asks_missing {
            let said = all.said().into_iter().filter(Said::is_missing);
            let object = self.here;
            self.findings.doubts.extend(said.map(|said| Doubt {
                check: id,
                about: About::Missing { object },
                said,
            }));
        }
        Fit::Doubtful
    }

    /// Asks the type about all members of an object but its tag: they may be those of a form that has another name.
    pub(super) fn ask_about_members(&mut self, id: Id, at: At, tag: At) -> Fit {
        let document = self.document();
        let members = document.members(at);
        let keys: Vec<At> = members
            .filter(|(_, value)| *value != tag)
            .map(|(key, _)| key)
            .collect();
        if keys.is_empty() {
            return Fit::Doubtful;
        }
        self.members(id, &[], &keys, true)
    }

    /// Whether the type is asked about a member of this name already.
    fn is_asked(&self, id: Id, key: At) -> bool {
        let document = self.document();
        let name = document.string(key);
        self.findings.doubts.iter().any(|doubt| {
            let About::Member { key } = doubt.about else {
                return false;
            };
            doubt.check == id && document.string(key) == name
        })
    }

    /// The names that an object has, and those of its parts.
    fn names(&self, id: Id) -> Rc<[String]> {
        let plan = self.ground.plan;
        let mut names = compile::outline(plan, id).known;
        let parts = plan.check(id).parts.as_ref();
        let choices = parts.map(|parts| parts.choices.as_slice());
        for choice in choices.unwrap_or_default() {
            let branches = choice.branches.iter();
            names.extend(branches.flat_map(|branch| branch.outline.known.iter().cloned()));
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names.into()
    }

    fn dependent(&mut self, rules: &'a ObjectRules, at: At) -> Fit {
        let document = self.document();
        let mut fit = Fit::Exact;
        for (name, what) in &rules.dependent {
            if document.member(at, name).is_none() {
                continue;
            }
            fit = fit.max(match what {
                Dependent::Check(inner) => self.check(*inner, at),
                Dependent::Names(names) => {
                    match names
                        .iter()
                        .find(|name| document.member(at, name).is_none())
                    {
                        Some(lacking) => {
                            self.breaks(|| format!("`{lacking}` is missing beside `{name}`"))
                        }
                        None => Fit::Exact,
                    }
                }
            });
        }
        fit
    }

    fn unevaluated(&mut self, check: &'a Check, others: Others, id: Id, at: At) -> Fit {
        let mut covered = Vec::new();
        choice::covered_members(self, check, at, &mut covered);
        let mut unknown = Vec::new();
        let mut fit = Fit::Exact;
        for (key, value) in self.document().members(at) {
            if covered.binary_search(&key).is_ok() {
                continue;
            }
            match others {
                Others::Open => {}
                Others::Closed => unknown.push(key),
                Others::Checked(inner) => {
                    fit = fit.max(self.inside(Segment::Key(key), inner, value));
                }
            }
        }
        if self.ground.plan.of_type && !unknown.is_empty() {
            fit = fit.max(choice::members_of_forms(self, check, at, &mut unknown));
        }
        if !unknown.is_empty() {
            fit = fit.max(self.members(id, &[], &unknown, self.ground.plan.of_type));
        }
        fit
    }
}

/// The property of a member.
fn find(document: &Document<'_>, rules: &ObjectRules, key: At) -> Option<usize> {
    let properties = &rules.properties;
    if properties.len() <= 8 {
        return properties
            .iter()
            .position(|property| document.is(key, &property.name));
    }
    let name = document.string(key)?;
    properties
        .binary_search_by(|property| property.name.as_str().cmp(&name))
        .ok()
}

/// The names that must be there and are not.
fn missing<'a>(
    rules: &'a ObjectRules,
    seen: &Seen,
    document: &Document<'_>,
    at: At,
) -> Vec<&'a str> {
    let properties = rules.properties.iter().enumerate();
    let mut missing: Vec<&str> = properties
        .filter(|(position, property)| property.required && !seen.has(*position))
        .map(|(_, property)| property.name.as_str())
        .collect();
    let others = rules.required.iter();
    missing.extend(
        others
            .filter(|name| document.member(at, name).is_none())
            .map(String::as_str),
    );
    missing
}

/// Which properties are there.
struct Seen {
    few: u64,
    many: Vec<bool>,
}

impl Seen {
    fn new(count: usize) -> Self {
        Self {
            few: 0,
            many: if count > 64 {
                vec![false; count]
            } else {
                Vec::new()
            },
        }
    }

    /// Marks a property, and tells whether it was there before.
    fn mark(&mut self, position: usize) -> bool {
        match self.many.get_mut(position) {
            Some(seen) => std::mem::replace(seen, true),
            None => {
                let bit = 1_u64
                    .checked_shl(u32::try_from(position).unwrap_or(64))
                    .unwrap_or(0);
                let before = self.few & bit != 0;
                self.few |= bit;
                before
            }
        }
    }

    fn has(&self, position: usize) -> bool {
        match self.many.get(position) {
            Some(seen) => *seen,
            None => {
                let shift = u32::try_from(position).unwrap_or(64);
                self.few.checked_shr(shift).unwrap_or(0) & 1 != 0
            }
        }
    }
}
