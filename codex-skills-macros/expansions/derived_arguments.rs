fn page(size: u8) -> u8 {
    size
}
/// The skill `page`, to be named in lists of skills.
struct page {}
#[automatically_derived]
impl ::codex_skills::SkillSet for page {
    const SKILLS: &'static [&'static ::codex_skills::SkillDescriptor] = &[
        {
            use ::codex_skills::__private as __codex_skills;
            fn __codex_skills_default0() -> u8 {
                let __default: u8 = 10;
                __default
            }
            fn __codex_skills_shown0() -> ::core::option::Option<
                __codex_skills::serde_json::Value,
            > {
                use __codex_skills::NotShown as _;
                __codex_skills::DefaultValue(__codex_skills_default0()).shown()
            }
            const __CODEX_SKILLS_SLOTS: (__codex_skills::Slot<u8>, ()) = (
                __codex_skills::Slot::new("size", ::core::option::Option::None)
                    .with_default(__codex_skills_default0, __codex_skills_shown0),
                (),
            );
            #[derive(
                __codex_skills::serde::Deserialize,
                __codex_skills::schemars::JsonSchema
            )]
            #[serde(crate = "::codex_skills::__private::serde")]
            #[serde(deny_unknown_fields)]
            #[schemars(crate = "::codex_skills::__private::schemars")]
            struct __CodexSkillsArguments {
                #[serde(default = "__codex_skills_default0")]
                #[schemars(range(min = 1, max = 20))]
                size: u8,
            }
            fn __codex_skills_call(
                __invocation: __codex_skills::Invocation,
            ) -> __codex_skills::Answer {
                use __codex_skills::Infallible as _;
                let __CodexSkillsArguments { size: __value0 } = __codex_skills::decode_struct::<
                    __CodexSkillsArguments,
                >(&__invocation)?;
                let __answer = __codex_skills::Returned(page(__value0)).answer();
                __answer
            }
            fn __codex_skills_output(
                __generator: &mut __codex_skills::schemars::SchemaGenerator,
            ) -> ::core::option::Option<__codex_skills::schemars::Schema> {
                use __codex_skills::{NoSchema as _, Plain as _};
                __codex_skills::ReturnType::<u8>::new().schema(__generator)
            }
            static __CODEX_SKILLS_DESCRIPTOR: ::codex_skills::SkillDescriptor = ::codex_skills::SkillDescriptor::new(
                    "page",
                    ::codex_skills::Location {
                        file: "",
                        line: 0,
                        column: 0,
                    },
                    __codex_skills::InputSchema::derived::<__CodexSkillsArguments>(),
                    __codex_skills::Handler::Inline(__codex_skills_call),
                )
                .with_fallback_description("Remote skill page")
                .with_output(__codex_skills_output);
            __codex_skills::inventory::submit! {
                & __CODEX_SKILLS_DESCRIPTOR
            }
            &__CODEX_SKILLS_DESCRIPTOR
        },
    ];
}
