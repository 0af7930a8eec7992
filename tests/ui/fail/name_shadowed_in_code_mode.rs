use codex_skills::skill;

#[skill]
fn list_mcp_resources() {}

#[skill(namespace = "clock")]
fn sleep() {}

#[skill(namespace = "collaboration", name = "send_message")]
fn send() {}

#[skill]
fn clock__curr_time() {}

#[skill(name = "request_user_input_async")]
fn ask() {}

struct Desk;

#[skill(namespace = "collaboration")]
impl Desk {
    #[skill]
    fn wait_agent(&self) {}
}

fn main() {}
