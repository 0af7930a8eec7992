fn lookup(id: String) {}
/// The skill `lookup`, to be named in lists of skills.
struct lookup {}
#[automatically_derived]
impl ::codex_skills::SkillSet for lookup {
    const SKILLS: &'static [&'static ::codex_skills::SkillDescriptor] = &[];
}
::core::compile_error! {
    "unknown option `nmae` of `#[skill]`, did you mean `name`?\nhelp: the options are `name`, `namespace`, `defer`, `description`, `input_schema`, `output_schema`, `output_description`, `group`, `timeout`, `inline`, `exclusive`, `read_only`, `whole_answer`, `crate`"
}
