//! What a schema demands, compiled: one [`Check`] for each schema, which refer to each other by their place.

use std::cmp::Ordering;

use serde_json::Value;

use super::leaf::{Format, Pattern};
use super::names::Names;
use super::number::Bound;

/// The position of a check in its plan.
pub(super) type Id = u32;

/// Types of JSON, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOL: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    /// Any number, so never without [`INTEGER`](Self::INTEGER).
    pub(super) const NUMBER: Self = Self(8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    pub(super) const ALL: Self = Self(127);

    pub(super) fn of(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOL,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER.or(Self::INTEGER),
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self::NONE,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// All checks of a schema.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) checks: Vec<Check>,
    pub(super) root: Id,
    /// Whether the schema is that of a type, which may know members by further names.
    pub(super) of_type: bool,
    /// Whether the members of the root may have further names.
    pub(super) aliases_at_root: bool,
}

/// What one schema demands.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) types: Types,
    pub(super) number: Option<Box<NumberRules>>,
    pub(super) text: Option<Box<TextRules>>,
    pub(super) array: Option<Box<ArrayRules>>,
    pub(super) object: Option<Box<ObjectRules>>,
    pub(super) values: Option<Box<[Value]>>,
    pub(super) parts: Option<Box<Parts>>,
    /// Whether several schemas may refer to it, or it to itself: then it is checked once for each value.
    pub(super) shared: bool,
}

impl Check {
    pub(super) const fn of(types: Types) -> Self {
        Self {
            types,
            number: None,
            text: None,
            array: None,
            object: None,
            values: None,
            parts: None,
            shared: false,
        }
    }
}

/// What is demanded of numbers.
#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) least: Option<Bound>,
    pub(super) most: Option<Bound>,
    pub(super) above: Option<Bound>,
    pub(super) below: Option<Bound>,
    pub(super) step: Option<Bound>,
    /// Whether whole numbers may be too large for a JSON number of many programs, and come as texts.
    pub(super) wide: bool,
}

impl NumberRules {
    /// Whether a number is out of range, also if it lost digits on its way.
    pub(super) fn is_beyond(&self, text: &str) -> bool {
        let is = |bound: &Option<Bound>, ordering| {
            let bound = bound.as_ref();
            bound.and_then(|bound| bound.of_rounded(text)) == Some(ordering)
        };
        is(&self.least, Ordering::Less) || is(&self.most, Ordering::Greater)
    }
}

/// What is demanded of texts.
#[derive(Debug, Default)]
pub(super) struct TextRules {
    pub(super) least: Option<u64>,
    pub(super) most: Option<u64>,
    pub(super) pattern: Option<Pattern>,
    pub(super) format: Option<Format>,
}

/// What is demanded of arrays.
#[derive(Debug, Default)]
pub(super) struct ArrayRules {
    pub(super) first: Vec<Id>,
    pub(super) rest: Option<Id>,
    pub(super) least: Option<u64>,
    pub(super) most: Option<u64>,
    pub(super) unique: bool,
    pub(super) contains: Option<Contains>,
    /// Items that no other schema speaks of.
    pub(super) unevaluated: Option<Id>,
}

impl ArrayRules {
    /// Whether positions mean something.
    pub(super) fn is_tuple(&self) -> bool {
        !self.first.is_empty() || (self.least.is_some() && self.least == self.most)
    }
}

#[derive(Debug)]
pub(super) struct Contains {
    pub(super) check: Id,
    pub(super) least: u64,
    pub(super) most: Option<u64>,
}

/// What is demanded of objects.
#[derive(Debug, Default)]
pub(super) struct ObjectRules {
    /// Sorted by name.
    pub(super) properties: Vec<Property>,
    /// Names that must be there without a property.
    pub(super) required: Vec<String>,
    pub(super) patterns: Vec<(Pattern, Id)>,
    pub(super) others: Others,
    pub(super) names: Option<Id>,
    /// The names that the type reads, where it is a map whose keys are no texts.
    pub(super) keys: Option<Names>,
    pub(super) least: Option<u64>,
    pub(super) most: Option<u64>,
    /// What must be there, or hold, where a member is there.
    pub(super) dependent: Vec<(String, Dependent)>,
    /// Members that no other schema speaks of.
    pub(super) unevaluated: Option<Others>,
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) check: Id,
    pub(super) required: bool,
    /// Whether the type has a value for it where it is not there, other than `null`.
    pub(super) has_default: bool,
}

/// What is demanded of members without a property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Others {
    #[default]
    Open,
    Closed,
    Checked(Id),
}

#[derive(Debug)]
pub(super) enum Dependent {
    Names(Vec<String>),
    Check(Id),
}

/// The schemas that a schema is made of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) reference: Option<Id>,
    pub(super) all: Vec<Id>,
    pub(super) choices: Vec<Choice>,
    pub(super) not: Option<Id>,
    pub(super) condition: Option<Condition>,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub(super) test: Id,
    pub(super) then: Option<Id>,
    pub(super) otherwise: Option<Id>,
}

/// Schemas of which one is to hold.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) branches: Vec<Branch>,
    /// Whether no more than one may hold.
    pub(super) exactly_one: bool,
    pub(super) tag: Option<Tag>,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) check: Id,
    pub(super) outline: Outline,
}

/// What a value must look like from outside to fit a schema: necessary, and cheap to look at.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    pub(super) types: Types,
    /// Members that have one of a few values where they are there.
    pub(super) constants: Vec<(String, Vec<Value>)>,
    pub(super) required: Vec<String>,
    pub(super) known: Vec<String>,
    /// The only values that it takes, where they are listed.
    pub(super) values: Option<Vec<Value>>,
}

/// What tells the branches of a choice apart.
#[derive(Debug)]
pub(super) enum Tag {
    /// A member whose value names the branch.
    Member { name: String, values: Vec<Value> },
    /// The only member's name.
    Name,
}

impl Plan {
    /// Leaves the root no room for members that none of the schemas it is made of speaks of.
    pub(super) fn close_root(&mut self) {
        if let Some(root) = self.checks.get_mut(self.root as usize)
            && root.parts.is_some()
        {
            let rules = root.object.get_or_insert_default();
            rules.unevaluated.get_or_insert(Others::Closed);
        }
    }

    pub(super) fn check(&self, id: Id) -> &Check {
        const ANYTHING: &Check = &Check::of(Types::ALL);
        self.checks.get(id as usize).unwrap_or(ANYTHING)
    }
}
