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

#[cfg(all())]
#[skill]
fn open() -> u8 {
    1
}

#[cfg(not(all()))]
#[skill]
fn open() -> u16 {
    2
}

struct Desk;

#[skill]
impl Desk {
    #[cfg(all())]
    #[skill]
    fn first(&self) {}

    #[cfg(not(all()))]
    #[skill]
    fn first(&self, x: DoesNotExist) {}

    #[skill]
    #[cfg(not(all()))]
    fn second(&self, x: DoesNotExist) {}

    #[skill]
    #[cfg(all())]
    fn second(&self) {}

    #[cfg(any())]
    #[skill(name = "third")]
    fn one_of_two(&self) {}

    #[skill]
    fn third(&self) {}
}

#[cfg_attr(all(), skill(name = "shut"))]
fn close() {}

fn main() {
    let names: Vec<_> = skills![lookup, close, open, Desk].iter().map(|s| s.name()).collect();
    assert_eq!(names, ["lookup", "shut", "open", "first", "second", "third"]);
    lookup();
    close();
    assert_eq!(open(), 1);
    Desk.first();
    Desk.second();
    Desk.third();
}
