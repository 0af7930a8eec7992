//! An answer with an image: a skill draws a chart and returns it beside a text.
//!
//! `cargo run --bin rich_output`, or `cargo run --bin rich_output -- chart.png` to keep the image.

use codex_skills::{ContentItem, Embedded, Error, OutputError, SkillOutput, lifecycle, skill};

/// Draw a bar chart of some numbers.
#[skill]
fn draw_chart(numbers: Vec<u32>) -> Result<SkillOutput, OutputError> {
    let chart = SkillOutput::text(format!("A chart of {} numbers.", numbers.len()));
    chart.with_image_bytes("image/png", &png::bars(&numbers))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::demo();
    let turn = lifecycle!(codex, skills: [draw_chart], |run| {
        run.send_and_handle("draw_chart of 3 5 8 2 6").require_reply().await
    })
    .await?;

    let mut images = 0;
    for call in &turn.dispatches {
        println!("call    {}({})", call.tool(), call.arguments());
        for item in call.output().items() {
            match item {
                ContentItem::Text { text } => println!("text    {text}"),
                ContentItem::Image { image_url } => {
                    images += 1;
                    println!("image   {}… ({} bytes)", &image_url[..48], image_url.len());
                }
                _ => {}
            }
        }
    }
    println!("reply   {}", turn.assistant_reply);

    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(&path, png::bars(&[3, 5, 8, 2, 6]))?;
        println!("kept    {path}");
    }
    if images == 1 {
        Ok(())
    } else {
        Err(Error::other("the image did not arrive"))
    }
}

/// Just enough of PNG for a chart without compression; a real program takes a crate.
mod png {
    const BAR: usize = 24;
    const STEP: usize = 12;

    /// A bar for each number, dark on light.
    pub(super) fn bars(numbers: &[u32]) -> Vec<u8> {
        let tallest = numbers.iter().copied().max().unwrap_or(0).min(64);
        let (width, height) = (numbers.len().max(1) * BAR, (tallest as usize + 1) * STEP);
        let mut rows = Vec::with_capacity((width + 1) * height);
        for y in 0..height {
            rows.push(0); // This row is not filtered.
            for x in 0..width {
                let bar = numbers
                    .get(x / BAR)
                    .map_or(0, |n| (*n).min(64) as usize * STEP);
                let inside = (3..BAR - 3).contains(&(x % BAR)) && height - y <= bar;
                rows.push(if inside { 60 } else { 235 });
            }
        }
        encode(width, height, &rows)
    }

    /// A grey image of 8 bits a pixel.
    fn encode(width: usize, height: usize, rows: &[u8]) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend((width as u32).to_be_bytes());
        header.extend((height as u32).to_be_bytes());
        header.extend([8, 0, 0, 0, 0]);

        let mut data = vec![0x78, 0x01];
        let mut blocks = rows.chunks(0xffff).peekable();
        while let Some(block) = blocks.next() {
            let length = block.len() as u16;
            data.push(u8::from(blocks.peek().is_none()));
            data.extend(length.to_le_bytes());
            data.extend((!length).to_le_bytes());
            data.extend(block);
        }
        data.extend(adler32(rows).to_be_bytes());

        let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut image, b"IHDR", &header);
        chunk(&mut image, b"IDAT", &data);
        chunk(&mut image, b"IEND", &[]);
        image
    }

    fn chunk(image: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
        image.extend((data.len() as u32).to_be_bytes());
        let start = image.len();
        image.extend(kind);
        image.extend(data);
        let checksum = crc32(&image[start..]);
        image.extend(checksum.to_be_bytes());
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
            })
        })
    }

    fn adler32(bytes: &[u8]) -> u32 {
        let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65_521;
            (a, (b + a) % 65_521)
        });
        (b << 16) | a
    }
}
