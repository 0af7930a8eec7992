//! `#[cfg]` beside `#[skill]`, in either order.
use codex_skills::{skill, skills};

#[cfg(any())]
#[skill]
fn lookup(x: DoesNotExist) {}

#[skill]
#[cfg(any())]
fn lookup(x: DoesNotExist) {}

#[skill]
#[cfg(all())]
fn lookup() {}

#[cfg_attr(all(), skill(name = "shut"))]
fn close() {}

fn main() {
    let names: Vec<_> = skills![lookup, close].iter().map(|s| s.name()).collect();
    assert_eq!(names, ["lookup", "shut"]);
    lookup();
    close();
}
