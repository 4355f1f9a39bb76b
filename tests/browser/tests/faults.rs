//! Each fault of a page is found, and a page without one has none.

use browser::{Browser, Color, Look, Rect, Theme, View};

const SOUND: &str =
    "<p>All is well: <code>a b</code></p><input value=short><pre>what is wide can be scrolled here</pre>";

/// A page in the theme's colours with this in it; `style` goes on after its own.
fn page(style: &str, body: &str) -> String {
    format!(
        "data:text/html;charset=utf-8,<!doctype html><meta name=viewport content='width=device-width'>\
         <style>:root {{ color-scheme: light dark }} body {{ background: white; color: black; margin: 1rem }}\
         pre {{ overflow: auto; width: 6rem }} {style}</style>\
         <style media='(prefers-color-scheme: dark)'>body {{ background: black; color: white }}</style>{body}"
    )
}

async fn faults(browser: &Browser, view: View, style: &str, body: &str) -> Vec<String> {
    browser.goto(&page(style, body)).await;
    let look: Look<()> = browser.look("fault", view, "null").await;
    look.faults()
}

#[tokio::test]
async fn each_fault_of_a_page_is_found() {
    const WIDE: &str = "<table><tr><td>a<td><div style='width: 500px'>b</div></table>";
    let browser = Browser::open("about:blank", 390, 800).await;
    let phone = |theme| View { width: 390, theme };
    let (light, dark) = (phone(Theme::Light), phone(Theme::Dark));
    for (view, style, body, expected) in [
        (light, "", WIDE, "390-light: the page is 5"),
        (light, "b { color: white }", "<b>faint</b>", "390-light: \"faint\" has a contrast of 1.00"),
        (light, "b { color: gray }", "<b>nearly</b>", "390-light: \"nearly\" has a contrast of 3.95"),
        (dark, "b { opacity: 0 }", "<b>not there</b>", "390-dark: \"not there\" has a contrast of 1.00"),
        (dark, "b { color: rgb(60, 60, 60) }", "<b>gloomy</b>", "390-dark: \"gloomy\" has a contrast of 1.9"),
        (light, "p { overflow: hidden; width: 1rem }", "<p>longword</p>", "390-light: \"longword\" is cut off"),
        (light, "p { overflow: clip; height: 1rem }", "<p>one<br>two</p>", "390-light: \"two\" is cut off"),
        (light, "p { margin-left: -50rem }", "<p>gone</p>", "390-light: \"gone\" is cut off"),
        (
            light,
            "svg { width: 9rem }",
            "<svg><text y='20' x='100'>beyond</text></svg>",
            "390-light: \"beyond\" is cut off",
        ),
        (light, "input { width: 3rem }", "<input value='a long value'>", "390-light: \"a long value\" is cut off"),
        (
            light,
            "i { margin-left: -1rem }",
            "<b>left</b><i>right</i>",
            "390-light: \"left\" and \"right\" are in one place",
        ),
        (light, "p { line-height: .4 }", "<p>over<br>under</p>", "390-light: \"over\" and \"under\" are in one place"),
        (
            dark,
            "body { background: white !important; color: black !important }",
            "<p>p</p>",
            "390-dark: the background of luminance 1.00 is",
        ),
        (light, "p { background: cyan; margin: 0 -1rem }", "<p>p</p>", "% of the side at 0 is not the background"),
    ] {
        let found = faults(&browser, view, style, body).await;
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:#?}");
    }
    browser.close().await;
}

#[tokio::test]
async fn a_page_without_a_fault_has_none() {
    let browser = Browser::open("about:blank", 390, 800).await;
    for view in View::ALL {
        assert_eq!(faults(&browser, view, "", SOUND).await, Vec::<String>::new());
    }
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_changes_is_measured_as_it_is_in_the_picture() {
    let browser = Browser::open("about:blank", 390, 800).await;
    // Its bar and its text change together, at first between any two looks.
    let changing = "<b>0</b><hr><script>let count = 0; const step = () => { count += 1;\
        document.querySelector('b').textContent = count; document.querySelector('hr').style.width = `${count}px`;\
        if (count < 100) setTimeout(step, 10) }; step()</script>";
    browser.goto(&page("hr { background: blue; border: 0; height: 9px; margin: 0 }", changing)).await;
    let view = View { width: 390, theme: Theme::Light };
    let measure =
        "[+document.querySelector('b').textContent, document.querySelector('hr').getBoundingClientRect().top]";
    let look: Look<(f64, f64)> = browser.look("changing", view, measure).await;
    let (width, top) = look.measured;
    let line = Rect { left: 0.0, top, width: 390.0, height: 9.0 };
    let ink = look.pixels.ink_of(Color([0, 0, 255]), line);
    assert!((ink - width * 9.0).abs() < 1.0, "{ink} of a bar that is {width} wide");
    browser.close().await;
}
