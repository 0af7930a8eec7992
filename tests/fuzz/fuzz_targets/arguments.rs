//! Arguments of any kind: the first byte says of which skill.
#![no_main]

use codex_skills_tests::fuzz::Arguments;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((case, text)) = data.split_first() else {
        return;
    };
    let Ok(arguments) = std::str::from_utf8(text) else {
        return;
    };
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let tested = tokio.expect("a runtime").block_on(async {
        let mut skills = Arguments::start().await?;
        skills.check(usize::from(*case), arguments).await
    });
    if let Err(error) = tested {
        panic!("{error}");
    }
});
