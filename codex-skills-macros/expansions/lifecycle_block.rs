fn block() {
    async {
        use codex_skills::__private as __codex_skills;
        let __codex_skills_client = &(codex);
        let __state0 = Db::open();
        let __opened = __codex_skills::AsClient::as_client(__codex_skills_client)
            .lifecycle(|__draft| {
                let __draft = __draft
                    .register(
                        codex_skills::__private::SkillList::new(
                            &[
                                <lookup as codex_skills::SkillSet>::SKILLS,
                                <tickets::close as codex_skills::SkillSet>::SKILLS,
                            ],
                        ),
                    );
                let __draft = __draft.state(__state0);
                __draft
            })
            .cwd(".")
            .await;
        match __opened {
            ::core::result::Result::Ok(__guard) => {
                let __outcome = __codex_skills::catch_panic(
                        __codex_skills::fallible::<
                            _,
                            codex_skills::Error,
                            _,
                        >(async {
                            let run = &__guard;
                            {
                                let __typed: ::core::option::Option<
                                    ::core::result::Result<_, codex_skills::Error>,
                                > = ::core::option::Option::None;
                                if let ::core::option::Option::Some(__value) = __typed {
                                    return __value;
                                }
                            }
                            { run.send_and_handle("Use lookup for ABC-123.").await }
                        }),
                    )
                    .await;
                __codex_skills::finish_lifecycle(__guard, __outcome, |_| {}).await
            }
            ::core::result::Result::Err(__error) => {
                ::core::result::Result::Err(::core::convert::From::from(__error))
            }
        }
    }
}
