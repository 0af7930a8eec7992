use codex_skills::skill;

#[skill(namespace = "multi_agent_v1")]
fn spawn_agent() {}

fn main() {}
