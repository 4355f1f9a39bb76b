//! What the live page says.

use browser::Browser;
use serde_json::Value;

/// Waits until the page shows what the broker says.
pub(crate) async fn until_live(browser: &Browser) {
    browser.until("document.querySelector('#status').textContent === 'Live'").await;
}

/// The rows of a section's table: the cells' texts by their labels.
pub(crate) async fn rows(browser: &Browser, section: &str) -> Vec<Value> {
    let rows = format!(
        "[...document.querySelectorAll('#{section} tbody tr')].map(row => \
         Object.fromEntries([...row.cells].map(cell => [cell.dataset.label, cell.textContent.trim()])))"
    );
    browser.value(&rows).await.as_array().unwrap().clone()
}
