/// What customers complain about.
impl Desk {
    async fn close(&self, ticket: Ticket) -> Result<Self, DeskError> {
        self.db.close(ticket).await
    }
    fn plain(&self) {}
}
#[automatically_derived]
impl ::codex_skills::SkillSet for Desk {
    const SKILLS: &'static [&'static ::codex_skills::SkillDescriptor] = &[
        {
            use ::codex_skills::__private as __codex_skills;
            const __CODEX_SKILLS_SLOTS: (__codex_skills::Slot<Ticket>, ()) = (
                {
                    __codex_skills::Parameter::<
                        {
                            use __codex_skills::Lacking as _;
                            __codex_skills::Reads::<Ticket>::HAS
                                | __codex_skills::Described::<Ticket>::HAS
                        },
                        Ticket,
                    >::slot("ticket", ::core::option::Option::None)
                },
                (),
            );
            static __CODEX_SKILLS_STATE: [__codex_skills::StateKey; 1usize] = [
                __codex_skills::StateKey::of::<Desk>(),
            ];
            fn __codex_skills_call(
                __invocation: __codex_skills::Invocation,
            ) -> __codex_skills::HandlerFuture {
                use __codex_skills::Infallible as _;
                __codex_skills::StateKey::check::<Desk>();
                ::std::boxed::Box::pin(async move {
                    let (__value0, ()) = __codex_skills::Slots::decode(
                        &__CODEX_SKILLS_SLOTS,
                        &__invocation,
                        &__CODEX_SKILLS_DESCRIPTOR,
                    )?;
                    let __receiver = __invocation.state::<Desk>()?;
                    let __answer = __codex_skills::Returned(
                            <Desk>::close(&*__receiver, __value0).await,
                        )
                        .answer();
                    __answer
                })
            }
            fn __codex_skills_output(
                __generator: &mut __codex_skills::schemars::SchemaGenerator,
            ) -> ::core::option::Option<__codex_skills::schemars::Schema> {
                use __codex_skills::{NoSchema as _, Plain as _};
                __codex_skills::ReturnType::<Result<Desk, DeskError>>::new()
                    .schema(__generator)
            }
            static __CODEX_SKILLS_DESCRIPTOR: ::codex_skills::SkillDescriptor = ::codex_skills::SkillDescriptor::new(
                    "close",
                    ::codex_skills::Location {
                        file: "",
                        line: 0,
                        column: 0,
                    },
                    __codex_skills::InputSchema::Parameters(
                        &[__CODEX_SKILLS_SLOTS.0.descriptor],
                    ),
                    __codex_skills::Handler::Async(__codex_skills_call),
                )
                .with_fallback_description("Remote skill close")
                .with_namespace("tickets")
                .with_namespace_description("What customers complain about.")
                .deferred()
                .with_group("tickets")
                .with_state(&__CODEX_SKILLS_STATE)
                .with_output(__codex_skills_output);
            __codex_skills::inventory::submit! {
                & __CODEX_SKILLS_DESCRIPTOR
            }
            &__CODEX_SKILLS_DESCRIPTOR
        },
    ];
}
