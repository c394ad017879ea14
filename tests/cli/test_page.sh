#!/usr/bin/env bash
# report.html of a run in a browser: no error on the console, no network request, nothing wider than a
# phone's screen, and the figures of report.json.
. "$(dirname "$0")/common.sh"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [[ -z $browser ]]; then
    echo "page: skipped: no Chromium is installed"
    exit 77
fi

make_data 120 >/dev/null
write_small_job
pneumo train small.ini --run run --epochs 2 >/dev/null 2>log || fail "$(cat log)"
[[ -s run/report.html ]] || fail "train left no report.html: $(ls run)"

# browse NAME URL: saves the loaded document in NAME.html, the browser's log in NAME.log and its
# network log in NAME.net. No host name resolves.
browse() {
    timeout -k 5 120 "$browser" --headless --no-sandbox --disable-gpu --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$here/profile" --host-resolver-rules="MAP * ~NOTFOUND" \
        --allow-file-access-from-files --enable-logging=stderr --log-net-log="$here/$1.net" \
        --hide-scrollbars --window-size=800,1000 --virtual-time-budget=2000 --dump-dom "$2" \
        >"$1.html" 2>"$1.log" || fail "$browser: $(cat "$1.log")"
    ! grep "CONSOLE" "$1.log" || fail "$1: errors on the console"
}

# requests NAME: lists the document's network requests, without those of the browser itself.
requests() {
    grep -F '{site=file://' "$1.net" | grep -oE '"url":"(http|ws|ftp)[^"]*"' || true
}

browse page "file://$here/run/report.html"
[[ -z $(requests page) ]] || fail "the page asks for $(requests page)"
echo '<img src="http://pneumo.invalid/x.png">' >trial.source.html
browse trial "file://$here/trial.source.html"
[[ $(requests trial) == *"http://pneumo.invalid/x.png"* ]] || fail "this test sees no requests"

cat >phone.source.html <<'HTML'
<!DOCTYPE html>
<body><iframe src="run/report.html" style="width:360px;height:800px;border:0"></iframe>
<script>
document.querySelector("iframe").onload = event => {
    const page = event.target.contentDocument;
    document.body.dataset.width = page.documentElement.scrollWidth;
    document.body.dataset.wide = [...page.querySelectorAll("header, section, figure, p, dl, pre")]
        .filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent.slice(0, 40)).join();
};
</script>
HTML
browse phone "file://$here/phone.source.html"
grep -q 'data-width="360"' phone.html || fail "360 pixels are too few: $(grep '<body' phone.html)"
grep -q 'data-wide=""' phone.html || fail "wider than a phone: $(grep '<body' phone.html)"

/usr/bin/python3 - <<'PY'
import html.parser, json

report = json.load(open("run/report.json"))


def find(key):
    value = report
    for part in key.split("."):
        value = value[int(part) if isinstance(value, list) else part]
    return value


class Page(html.parser.HTMLParser):
    numbers, plots = 0, 0

    def handle_starttag(self, tag, attributes):
        at = dict(attributes)
        assert tag != "script" and "href" not in at, (tag, at)
        assert at.get("src", "data:").startswith("data:"), at["src"][:80]
        self.plots += tag == "svg"
        if "data-key" in at:
            shown = json.loads(at["data-value"])
            assert shown == find(at["data-key"]), (at, find(at["data-key"]))
            self.numbers += 1


# The phantoms have different shapes, which the report must cover.
for fold in report["folds"].values():
    assert set(fold["shape"]) == {"aspect", "area"}, fold["shape"]
page = Page()
page.feed(open("page.html", encoding="utf-8").read())
assert page.numbers > 200 and page.plots == 4 + 4 + 2 + 3, (page.numbers, page.plots)
print(f"page: {page.numbers} numbers as in report.json, {page.plots} plots, nothing asked of anywhere")
PY
