//! `cargo bench`: each contender by criterion, one after the other. Ratios are better taken from `RESULTS.md`, for which
//! contenders take turns.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peers::contenders::{self, Contender};
use peers::measure::{on_worker, runtime};
use peers::throughput::OUTSTANDING;
use peers::{SKILLS, catalogs};
use tokio::runtime::Runtime;

/// Has a contender make so many calls on a worker and hands it back.
fn calls(
    runtime: &Runtime,
    place: &mut Option<Contender>,
    calls: u64,
    outstanding: Option<usize>,
) -> Duration {
    let mut contender = place.take().expect("it is always put back");
    let (contender, took) = on_worker(runtime, async move {
        let began = Instant::now();
        if let Some(outstanding) = outstanding {
            let calls = usize::try_from(calls)?.max(outstanding);
            let (took, made) = contender.pipelined(calls, outstanding).await?;
            let took = took.mul_f64(calls as f64 / made as f64);
            return Ok((contender, took));
        }
        for _ in 0..calls {
            contender.call().await?;
        }
        Ok((contender, began.elapsed()))
    })
    .expect("calls are answered");
    *place = Some(contender);
    took
}

fn one_call(c: &mut Criterion) {
    for threads in [1, 2] {
        let runtime = runtime(threads).expect("a runtime");
        let mut group = c.benchmark_group(format!("one call, threads: {threads}"));
        for skills in SKILLS {
            let contenders = on_worker(&runtime, contenders::all(skills)).expect("contenders");
            for contender in contenders {
                let id = BenchmarkId::new(contender.name, skills);
                let mut place = Some(contender);
                group.bench_function(id, |b| {
                    b.iter_custom(|n| calls(&runtime, &mut place, n, None));
                });
            }
        }
    }
}

fn many_calls(c: &mut Criterion) {
    for threads in [1, 2] {
        let runtime = runtime(threads).expect("a runtime");
        let mut group = c.benchmark_group(format!("calls outstanding, threads: {threads}"));
        group.throughput(Throughput::Elements(1000));
        let contenders = on_worker(&runtime, contenders::pipelined()).expect("contenders");
        for contender in contenders {
            let name = contender.name;
            let mut place = Some(contender);
            for outstanding in OUTSTANDING {
                group.bench_function(BenchmarkId::new(name, outstanding), |b| {
                    // An iteration is a thousand calls.
                    b.iter_custom(|n| {
                        (0..n)
                            .map(|_| calls(&runtime, &mut place, 1000, Some(outstanding)))
                            .sum()
                    });
                });
            }
        }
    }
}

/// Cold ones are measured in a process each, for `RESULTS.md`.
fn catalog(c: &mut Criterion) {
    c.bench_function("200 functions, discovered and sealed once more", |b| {
        b.iter(|| catalogs::Cold::Functions.once());
    });
    c.bench_function("rmcp, router of 200 functions, once more", |b| {
        b.iter(|| catalogs::Cold::Peer.once());
    });
}

criterion_group! {
    name = all;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = one_call, many_calls, catalog
}
criterion_main!(all);
