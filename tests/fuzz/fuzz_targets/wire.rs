//! Lines of a hostile codex: after each input a valid call runs once and is answered.
#![no_main]

use codex_skills_tests::fuzz::Hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let tested = tokio.expect("a runtime").block_on(async {
        let mut hostile = Hostile::start().await?;
        for line in data.split(|byte| *byte == b'\n') {
            hostile.say(line).await?;
        }
        hostile.probe().await
    });
    if let Err(error) = tested {
        panic!("{error}");
    }
});
