/// Look up a ticket.
///
/// # Returns
/// The ticket.
pub async fn lookup(
    ticket_id: &str,
    comments: u8,
    db: &Db,
    cx: &SkillContext,
) -> Result<Ticket, LookupError> {
    db.find(ticket_id, comments).await
}
/// The skill `lookup`, to be named in lists of skills.
pub struct lookup {}
#[automatically_derived]
impl ::codex_skills::SkillSet for lookup {
    const SKILLS: &'static [&'static ::codex_skills::SkillDescriptor] = &[
        {
            use ::codex_skills::__private as __codex_skills;
            fn __codex_skills_default1() -> u8 {
                let __default: u8 = 5;
                __default
            }
            fn __codex_skills_shown1() -> ::core::option::Option<
                __codex_skills::serde_json::Value,
            > {
                use __codex_skills::NotShown as _;
                __codex_skills::DefaultValue(__codex_skills_default1()).shown()
            }
            const __CODEX_SKILLS_SLOTS: (
                __codex_skills::Slot<::std::string::String>,
                (__codex_skills::Slot<u8>, ()),
            ) = (
                __codex_skills::Slot::new(
                    "ticket_id",
                    ::core::option::Option::Some("Stable ticket identifier."),
                ),
                (
                    __codex_skills::Slot::new("comments", ::core::option::Option::None)
                        .with_default(__codex_skills_default1, __codex_skills_shown1),
                    (),
                ),
            );
            static __CODEX_SKILLS_STATE: [__codex_skills::StateKey; 1usize] = [
                __codex_skills::StateKey::of::<Db>(),
            ];
            fn __codex_skills_call(
                __invocation: __codex_skills::Invocation,
            ) -> __codex_skills::HandlerFuture {
                use __codex_skills::Infallible as _;
                __codex_skills::StateKey::check::<Db>();
                ::std::boxed::Box::pin(async move {
                    let (__value0, (__value1, ())) = __codex_skills::Slots::decode(
                        &__CODEX_SKILLS_SLOTS,
                        &__invocation,
                        &__CODEX_SKILLS_DESCRIPTOR,
                    )?;
                    let __state2 = __invocation.state::<Db>()?;
                    let __codex_skills_context = __invocation.context::<SkillContext>();
                    let __answer = __codex_skills::Returned(
                            lookup(
                                    &__value0,
                                    __value1,
                                    &*__state2,
                                    __codex_skills_context,
                                )
                                .await,
                        )
                        .answer();
                    __answer
                })
            }
            fn __codex_skills_output(
                __generator: &mut __codex_skills::schemars::SchemaGenerator,
            ) -> ::core::option::Option<__codex_skills::schemars::Schema> {
                use __codex_skills::{NoSchema as _, Plain as _};
                __codex_skills::ReturnType::<Result<Ticket, LookupError>>::new()
                    .schema(__generator)
            }
            static __CODEX_SKILLS_DESCRIPTOR: ::codex_skills::SkillDescriptor = ::codex_skills::SkillDescriptor::new(
                    "lookup",
                    ::codex_skills::Location {
                        file: "",
                        line: 0,
                        column: 0,
                    },
                    __codex_skills::InputSchema::Parameters(
                        &[
                            __CODEX_SKILLS_SLOTS.0.descriptor,
                            __CODEX_SKILLS_SLOTS.1.0.descriptor,
                        ],
                    ),
                    __codex_skills::Handler::Async(__codex_skills_call),
                )
                .with_description("Look up a ticket.")
                .with_output_description("The ticket.")
                .with_group("tickets")
                .with_timeout_millis(20000u64)
                .exclusive()
                .with_state(&__CODEX_SKILLS_STATE)
                .with_output(__codex_skills_output);
            __codex_skills::inventory::submit! {
                & __CODEX_SKILLS_DESCRIPTOR
            }
            &__CODEX_SKILLS_DESCRIPTOR
        },
    ];
}
