use codex_skills::{Embedded, Error, lifecycle, skill};

#[skill]
fn lookup() {}

async fn after_the_client() -> Result<(), Error> {
    lifecycle!(Embedded::demo() skills: [lookup], |_| { Ok(()) }).await
}

async fn after_an_option() -> Result<(), Error> {
    lifecycle!(Embedded::demo(), skills: [lookup] keep_session: true cwd: ".", |_| { Ok(()) }).await
}

async fn within_a_value() -> Result<(), Error> {
    lifecycle!(Embedded::demo(), discover: "tickets"::desk, |_| { Ok(()) }).await
}

async fn after_the_block() -> Result<(), Error> {
    lifecycle!(Embedded::demo(), skills: [lookup], |_| { Ok(()) } cwd: ".").await
}

fn main() {}
