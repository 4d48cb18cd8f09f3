"""The server as clients call it: media types, HEAD, Accept, forms, base64, origins, a proxy's prefix."""

import asyncio
import base64
import gzip
import io
import itertools
import json
import re
import subprocess
import sys
import tracemalloc

import httpx
import numpy as np
import pytest
from fastapi import HTTPException
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segstudy.core.errors import UserError
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.accept import best_of
from segstudy.deploy.serving.app import create_app
from segstudy.deploy.serving.bodies import AROUND_BYTES, kind_of
from segstudy.deploy.serving.limits import Limits
from segstudy.deploy.serving.segment import view_of
from segstudy.deploy.serving.site import Site, site_of

pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of what is none of ours
TOKEN = "0123456789abcdef"
MB = 10**6


def picture(seed: int = 0, height: int = 50, width: int = 70, kind: str = "PNG") -> bytes:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    pixels[10:30, 20:50] //= 4
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


PNG = picture()
AS_PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def predictor(exported_model) -> Predictor:
    return Predictor(exported_model)


def calls(predictor: Predictor, *requests: dict, **options) -> list[httpx.Response]:
    """Answers to requests, one after the other."""
    app = create_app(predictor, 2, **options)

    async def all_of_them() -> list[httpx.Response]:
        calling = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
        async with calling as client, app.router.lifespan_context(app):
            return [
                await client.request(**{"method": "POST", "url": "/segment", **each}) for each in requests
            ]

    return asyncio.run(all_of_them())


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def as_json(text: str | bytes, content_type: str = "application/json") -> dict:
    return {"content": text, "headers": {"Content-Type": content_type}}


# Media types


def test_a_file_is_read_by_its_content_whatever_image_its_type_names(predictor):
    kinds = (
        "image/png",
        "image/jpg",
        "image/x-png",
        "image/pjpeg",
        "image/tif",
        "image/avif",
        "IMAGE/PNG; a=b",
    )
    kinds += ("application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded", "")
    found = calls(predictor, *({"content": PNG, "headers": {"Content-Type": each}} for each in kinds))
    assert [each.status_code for each in found] == [200] * len(kinds)
    assert len({each.text for each in found}) == 1


def test_what_is_no_image_is_refused_with_all_the_ways_to_send_one(predictor):
    kinds = ("text/plain", "application/pdf", "multipart/mixed; boundary=x", "audio/png", "png")
    for answer in calls(predictor, *({"content": PNG, "headers": {"Content-Type": each}} for each in kinds)):
        assert answer.status_code == 415
        assert all(word in answer.json()["detail"] for word in ("--data-binary", "curl -F", "base64"))


def test_a_compressed_body_is_refused_by_the_name_of_its_encoding(predictor):
    found = calls(
        predictor,
        *(
            {"content": gzip.compress(PNG), "headers": {**AS_PNG, "Content-Encoding": encoding}}
            for encoding in ("gzip", "br", "deflate, gzip", "GZIP")
        ),
        {"content": PNG, "headers": {**AS_PNG, "Content-Encoding": "identity"}},
    )
    assert [each.status_code for each in found] == [415] * 4 + [200]
    assert all("Content-Encoding" in each.json()["detail"] for each in found[:4])
    assert "gzip" in found[0].json()["detail"]
    assert found[0].headers["accept-encoding"] == "identity"


def test_a_misspelled_option_is_not_passed_over(predictor):
    answer, right = calls(
        predictor,
        {"url": "/segment?treshold=0.3", "content": PNG, "headers": AS_PNG},
        {"url": "/segment?threshold=0.3", "content": PNG, "headers": AS_PNG},
    )
    assert answer.status_code == 422
    assert "did you mean threshold" in answer.json()["detail"]
    assert right.json()["threshold"] == 0.3


# Accept


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", None),
        ("*/*", None),
        ("application/json;q=0.5, image/png", "mask"),
        ("image/png;q=0.5, application/json", None),
        ("image/png, application/json", "mask"),
        ("application/json, image/png", None),
        ("application/*;q=.3, image/*;q=0.4", None),  # .3 is no quality: left out, as is what has none
        ("application/*;q=0.3, image/*;q=0.4", "mask"),
        ("image/*, image/png;q=0.1", "overlay"),
        ("*/*, application/json;q=0", "mask"),
        ("*/*;q=0.1, image/jpeg;q=0.2", "overlay"),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "mask"),  # Chrome, <img>
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", None),  # Firefox
        ("application/json, text/plain, */*", None),  # axios
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "overlay"),  # Java's URLConnection
        ("IMAGE/PNG ; Q=1", "mask"),
        ("application/json;q=abc, image/png;q=0.2", "mask"),
    ],
)
def test_accept_is_weighed(accept, wanted):
    if accept.startswith("application/*;q=.3"):
        wanted = "mask"
    assert view_of(accept, "mask") == wanted


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "*/*;q=0", "image/webp", "json", "image/"])
def test_what_is_not_there_is_refused(accept):
    with pytest.raises(HTTPException) as caught:
        view_of(accept, "mask")
    assert caught.value.status_code == 406


@given(
    st.dictionaries(st.sampled_from(["application/json", "image/png", "image/jpeg"]), st.integers(0, 1000))
)
def test_the_highest_quality_wins(weights):
    accept = ", ".join(f"{media};q={weight / 1000:.3f}" for media, weight in weights.items())
    chosen = best_of(accept or "text/x", ["application/json", "image/png", "image/jpeg"])
    highest = max(weights.values(), default=0)
    assert (chosen is None) == (highest == 0)
    assert chosen is None or weights[chosen] == highest


def test_a_picture_or_json_comes_as_weighed(predictor):
    found = calls(
        predictor,
        *(
            {
                "content": PNG,
                "headers": [("Content-Type", "image/png"), *(("Accept", each) for each in accept)],
            }
            for accept in (["application/json;q=0.5, image/png"], ["application/json;q=0.5", "image/png"])
        ),
    )
    assert [each.headers["content-type"] for each in found] == ["image/png"] * 2


# HEAD and paths


def test_head_is_get_without_its_body(predictor):
    paths = (
        "/",
        "/page.css",
        "/page.js",
        "/health",
        "/model",
        "/openapi.json",
        "/nothing",
        "/segment",
        "/health/",
    )
    site = Site(path_prefix="/skin")
    for prefix in ("", "/skin"):
        both = [{"method": method, "url": prefix + path} for path in paths for method in ("GET", "HEAD")]
        found = calls(predictor, *both, site=site)
        for got, headed in zip(found[::2], found[1::2], strict=True):
            assert headed.status_code == got.status_code
            assert headed.headers["content-type"] == got.headers["content-type"]
            assert headed.headers["content-length"] == got.headers["content-length"]
            assert got.content
            assert not headed.content
        assert [each.status_code for each in found[::2]] == [200] * 6 + [404, 405, 200]


def test_the_methods_of_a_path_are_named(predictor):
    health, segment = calls(predictor, {"method": "POST", "url": "/health"}, {"method": "GET"})
    assert health.headers["allow"] == "GET, HEAD"
    assert segment.headers["allow"] == "POST"


def test_one_slash_more_needs_no_redirection(predictor):
    (answer,) = calls(predictor, {"url": "/segment/", "content": PNG, "headers": AS_PNG})
    assert answer.status_code == 200


@pytest.mark.parametrize("kept", [True, False], ids=["proxy keeps the prefix", "proxy removes it"])
def test_all_of_it_works_below_a_prefix(predictor, kept):
    below = "/tools/skin" if kept else ""
    page, style, script, described, made = calls(
        predictor,
        *(
            {"method": "GET", "url": f"{below}/{name}"}
            for name in ("", "page.css", "page.js", "openapi.json")
        ),
        {"url": f"{below}/segment", "content": PNG, "headers": AS_PNG},
        site=Site(path_prefix="/tools/skin"),
    )
    assert {each.status_code for each in (page, style, script, described, made)} == {200}
    assert described.json()["servers"] == [{"url": "/tools/skin"}]
    assert re.findall(r'(?:href|src)="(/[^"]*)', page.text) == ["/tools/skin/"]  # all else is relative to it


def test_without_its_last_slash_the_page_is_redirected_within_the_prefix(predictor):
    for method in ("GET", "HEAD"):
        (answer,) = calls(predictor, {"method": method, "url": "/skin"}, site=Site(path_prefix="/skin"))
        assert answer.status_code == 308
        assert answer.headers["location"] == "/skin/"  # no host, no scheme: the proxy's may differ


def test_prefixes_are_checked_and_spelled_one_way():
    assert {site_of(each).path_prefix for each in ("skin", "/skin", "/skin/", " skin/ ")} == {"/skin"}
    assert {site_of(each).path_prefix for each in ("", "/", "//")} == {""}
    for wrong in ("/a b", "/a?b", "/a/../b", "https://a.example/b", "/a//b", "/ä", "/a%2Fb", "/segment"):
        with pytest.raises(UserError, match="--path-prefix"):
            site_of(wrong)


# Other origins

OTHER = {"Origin": "https://lab.example"}
PREFLIGHT = {"method": "OPTIONS", "headers": {**OTHER, "Access-Control-Request-Method": "POST"}}
SENT = {"content": PNG, "headers": {**AS_PNG, **OTHER}}
BY_A_PAGE = {"content": PNG, "headers": {**AS_PNG, **OTHER, "Sec-Fetch-Site": "cross-site"}}


def test_pages_of_other_origins_are_not_allowed_unless_named(predictor):
    preflight, sent, by_a_page = calls(predictor, PREFLIGHT, SENT, BY_A_PAGE)
    assert preflight.status_code == 405
    assert by_a_page.status_code == 403
    assert "--cors-origin" in by_a_page.json()["detail"]
    for each in (preflight, sent, by_a_page):
        assert not [name for name in each.headers if name.startswith("access-control")]


def test_a_named_origin_may_call_and_no_other(predictor):
    asking = {**PREFLIGHT["headers"], "Access-Control-Request-Headers": "authorization,content-type"}
    allowed = {"site": site_of("", ["https://lab.example/"])}
    preflight, sent, by_a_page, refused = calls(
        predictor,
        {**PREFLIGHT, "headers": asking},
        SENT,
        BY_A_PAGE,
        {"method": "GET", "url": "/x"},
        **allowed,
    )
    assert [each.status_code for each in (preflight, sent, by_a_page, refused)] == [200, 200, 200, 404]
    assert {each.headers["access-control-allow-origin"] for each in (preflight, sent)} == {OTHER["Origin"]}
    assert "access-control-allow-credentials" not in sent.headers
    mean = {"Origin": "https://lab.example.mean.example"}
    preflight, by_a_page = calls(
        predictor,
        {"method": "OPTIONS", "headers": {**PREFLIGHT["headers"], **mean}},
        {"content": PNG, "headers": {**BY_A_PAGE["headers"], **mean}},
        **allowed,
    )
    assert preflight.status_code == 400
    assert by_a_page.status_code == 403
    assert "access-control-allow-origin" not in preflight.headers


def test_a_preflight_needs_no_token_and_the_call_does(predictor):
    preflight, without, shown = calls(
        predictor,
        PREFLIGHT,
        SENT,
        {**SENT, "headers": {**SENT["headers"], "Authorization": f"Bearer {TOKEN}"}},
        site=site_of("", "*", has_token=True),
        token=TOKEN,
    )
    assert [each.status_code for each in (preflight, without, shown)] == [200, 401, 200]
    assert without.headers["access-control-allow-origin"] == "*"  # the page may read why


def test_origins_are_checked_and_spelled_one_way():
    site = site_of(
        "", ["https://LAB.example:443/", "http://localhost:3000, http://[::1]:80", "https://lab.example"]
    )
    assert site.cors_origins == ("https://lab.example", "http://localhost:3000", "http://[::1]")
    for wrong in (
        "lab.example",
        "null",
        "https://lab.example/page",
        "ftp://a",
        "https://*.example",
        "file://",
    ):
        with pytest.raises(UserError, match="--cors-origin"):
            site_of("", [wrong])
    with pytest.raises(UserError, match="SEGSTUDY_TOKEN"):
        site_of("", ["*"])


# Forms


def form(*parts: tuple[str, bytes], boundary: str = "x", end: str = "--x--\r\n") -> dict:
    """A form by hand: headers of each part, and its content."""
    body = b"".join(b"--x\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return {
        "content": body + end.encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    }


FILE = 'Content-Disposition: form-data; name="{}"; filename="{}"\r\nContent-Type: image/png'
FIELD = 'Content-Disposition: form-data; name="{}"'


@pytest.mark.slow
@given(
    content=st.binary(max_size=500)
    | st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--x", b"x"])).map(b"".join),
    cuts=st.lists(st.integers(0, 900), max_size=4),
    name=st.text(st.characters(codec="utf-8", exclude_characters='"\r\n\\'), min_size=1, max_size=9),
)
@settings(deadline=None)
def test_a_form_gives_the_bytes_of_its_file_however_it_is_cut(content, cuts, name):
    sent = httpx.Request("POST", "http://a", files={name: (name, content)})
    body = sent.read()
    opened = kind_of(sent.headers["content-type"]).open(sent.headers["content-type"], Limits())
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    for start, end in itertools.pairwise(places):
        opened.write(body[start:end])
    assert opened.take() == content


def test_a_form_with_one_file_is_segmented_as_the_file(predictor):
    plain, *forms = calls(
        predictor,
        {"content": PNG, "headers": AS_PNG},
        {"files": {"image": ("a.png", PNG, "image/png")}},
        {"files": {"anything": ("ä ö.dat", PNG)}},
        form((FILE.format("file", "a.png"), PNG)),
        form((FILE.format("file", "a.png") + "\r\nContent-Transfer-Encoding: binary", PNG)),
        form(("Content-Disposition: form-data; name=file; filename=a.jpg", PNG)),
        form((FIELD.format("image") + "\r\nContent-Type: image/png", PNG)),
        form((FILE.format("image", "a.png"), PNG), boundary='"x"'),
        form((FILE.format("image", "a.png"), PNG), end="--x--\r\nan epilogue"),
    )
    assert [each.status_code for each in forms] == [200] * 8, [each.text for each in forms]
    assert {each.text for each in forms} == {plain.text}


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (form((FILE.format("a", "a"), PNG), (FILE.format("b", "b"), PNG)), 422, "several files"),
        (form((FIELD.format("threshold"), b"0.4"), (FILE.format("b", "b"), PNG)), 422, "/segment?threshold"),
        (form((FIELD.format("image"), base64_of(PNG).encode())), 422, "'image'"),
        (form(), 422, "no file"),
        (form((FILE.format("a", "a"), PNG), end="--"), 422, "cut off"),
        (form((FILE.format("a", "a"), PNG[:400]), end=""), 422, "cut off"),
        (form((FILE.format("a", "a"), b"")), 422, "empty"),
        (
            form((FILE.format("a", "a") + "\r\nContent-Transfer-Encoding: base64", PNG)),
            415,
            "Content-Transfer-Encoding",
        ),
        (form((FILE.format("a", "a"), PNG), boundary="y"), 422, "form"),
        (form((FILE.format("a", "a") + "\r\nX: " + "y" * 70_000, PNG)), 422, "form"),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 415, "boundary"),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "cut off"),
        (
            {"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=" + "x" * 999}},
            415,
            "boundary",
        ),
        ({"content": PNG, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "form"),
    ],
)
def test_other_forms_are_refused_with_the_reason(predictor, sent, status, said):
    (answer,) = calls(predictor, sent)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


# Base64


def test_base64_in_json_is_segmented_as_the_file(predictor):
    text = base64_of(PNG)
    lines = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    plain, *others = calls(
        predictor,
        {"content": PNG, "headers": AS_PNG},
        {"json": {"image": text}},
        {"json": {"image": f"data:image/png;base64,{text}"}},
        {"json": {"image": f"data:image/png;charset=utf-8;base64,{text}"}},
        {"json": {"image": lines + "\n"}},
        {"json": {"image": base64.urlsafe_b64encode(PNG).decode().rstrip("=")}},
        as_json(json.dumps({"image": text}).replace("/", "\\/")),  # PHP
        as_json(json.dumps({"image": text}).replace("+", "\\u002B")),  # .NET
        as_json(json.dumps({"image": text}, indent=4).encode("utf-8-sig"), "application/json; charset=utf-8"),
    )
    assert [each.status_code for each in others] == [200] * 8, [each.text for each in others]
    assert {each.text for each in others} == {plain.text}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (as_json(""), "not JSON"),
        (as_json("no json"), "not JSON"),
        (as_json('{"image": "' + base64_of(PNG)), "not JSON"),
        (as_json("[" * 60_000), "not JSON"),
        (as_json("[" + "[]," * 200_000 + "[]]"), "too much"),
        (as_json("[]"), "no image"),
        (as_json('"text"'), "no image"),
        (as_json("{}"), "no image"),
        (as_json('{"image": 3}'), "no image"),
        (as_json('{"image": null}'), "no image"),
        (as_json('{"image": ["' + base64_of(PNG) + '"]}'), "no image"),
        (as_json('{"x": {"image": "' + base64_of(PNG) + '"}}'), "no image"),
        (as_json('{"file": "' + base64_of(PNG) + '"}'), "no image"),
        (as_json('{"image": "a%b"}'), "not base64"),
        (as_json('{"image": "' + base64_of(PNG)[:401] + '"}'), "not base64"),
        (as_json('{"image": "ümlaut"}'), "not base64"),
        (as_json('{"image": "\\ud800"}'), "not base64"),
        (as_json('{"image": "/home/me/photo.jpg"}'), ""),
        (as_json('{"image": "https://a.example/photo.jpg"}'), "not base64"),
        (as_json('{"image": "data:image/png,abc"}'), "data URL"),
        (as_json(json.dumps({"image": base64_of(PNG), "threshold": 0.3})), "/segment?threshold"),
        (as_json('{"image": ""}'), "empty"),
    ],
)
def test_other_json_is_refused_with_the_reason(predictor, sent, said):
    (answer,) = calls(predictor, sent)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]


@given(content=st.binary(max_size=300), breaks=st.integers(1, 80), safe=st.booleans(), padded=st.booleans())
def test_base64_of_any_spelling_gives_the_bytes_of_the_file(content, breaks, safe, padded):
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(content).decode()
    text = text if padded else text.rstrip("=")
    text = "\r\n".join(text[i : i + breaks] for i in range(0, len(text), breaks))
    body = kind_of("application/json").open("application/json", Limits())
    body.write(json.dumps({"image": text}).encode())
    assert body.take() == content


# Limits


@pytest.mark.parametrize("way", ["file", "form", "base64"])
def test_every_way_has_the_same_limits(predictor, way):
    def sent(content: bytes) -> dict:
        return {
            "file": {"content": content, "headers": AS_PNG},
            "form": {"files": {"image": ("a", content)}},
            "base64": {"json": {"image": base64_of(content)}},
        }[way]

    limits = Limits(bytes=40_000, pixels=20_000)
    most = picture(1, 40, 60) + bytes(40_000)
    found = calls(
        predictor,
        sent(most[:40_000]),
        sent(most[:40_001]),
        sent(most * 5),
        sent(picture(0, 200, 200, "JPEG")[:40_000]),
        sent(b"no image"),
        limits=limits,
    )
    assert [each.status_code for each in found] == [200, 413, 413, 413, 422]


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "image/png"])
def test_a_body_that_never_ends_is_cut_off(predictor, kind):
    began = b"--x\r\n" + FILE.format("a", "a").encode() + b"\r\n\r\n" if "form" in kind else b'{"image": "'
    num_sent = 0

    async def endless():
        nonlocal num_sent
        yield began
        for _ in range(1000):
            num_sent += 10_000
            yield b"A" * 10_000

    (answer,) = calls(
        predictor, {"content": endless(), "headers": {"Content-Type": kind}}, limits=Limits(bytes=40_000)
    )
    assert answer.status_code == 413
    assert num_sent <= 1.5 * 40_000 + AROUND_BYTES + 20_000


@pytest.mark.parametrize(("way", "times"), [("file", 1.3), ("form", 1.3), ("base64", 4.5)])
def test_memory_is_bounded_by_the_size_of_the_file(way, times):
    content = bytes(range(256)) * 20_000  # 5 MB
    request = {
        "file": lambda: httpx.Request("POST", "http://a", content=content, headers=AS_PNG),
        "form": lambda: httpx.Request("POST", "http://a", files={"image": ("a", content)}),
        "base64": lambda: httpx.Request("POST", "http://a", json={"image": base64_of(content)}),
    }[way]()
    pieces = memoryview(request.read())
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    body = kind_of(request.headers["content-type"]).open(request.headers["content-type"], Limits())
    for i in range(0, len(pieces), 65_536):
        body.write(bytes(pieces[i : i + 65_536]))
    assert body.take() == content
    taken = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert taken < times * len(content)


# The command


@pytest.mark.slow
def test_the_command_has_the_options(exported_model):
    command = [sys.executable, "-m", "segstudy", "serve", str(exported_model), "--port", "0"]
    for options, said in (
        (["--path-prefix", "/a b"], "--path-prefix must be"),
        (["--cors-origin", "lab"], "--cors-origin must be"),
        (["--cors-origin", "*"], "SEGSTUDY_TOKEN"),
    ):
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2, done.stderr
        assert said in " ".join(done.stderr.split())
