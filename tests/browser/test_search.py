"""Searching on the page: by words, by filters, by an image, and by what is in the address."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from tests.acceptance.images import photograph
from tests.browser.album import FOLDER, HOSTILE
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]
FOUND = ".found .tile"
DROP = "#search"


def tile(page: Page, name: str) -> Locator:
    """What was found of a name in the folder."""
    return page.locator(f"#view {FOUND}[data-oid='inbox/{FOLDER}{name}']")


def test_words_find_images_by_keyboard_and_the_reason_shows_on_focus(visit: Visit, album: str) -> None:
    page = visit(album).open("#/tags")
    expect(page.get_by_role("heading", name="Tags")).to_be_visible()
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Search images")
    expect(field).to_be_focused()
    page.keyboard.type("cat")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Images for “cat”")).to_be_focused()
    cat = tile(page, "cat.jpg")
    link = cat.locator(".look")
    expect(link).to_have_accessible_description(re.compile(r"Similarity 0\.\d\d; tags? .*“egyptian cat”"))
    expect(cat.locator(".why")).to_have_css("opacity", "0")
    link.focus()
    expect(cat.locator(".why")).to_have_css("opacity", "1")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#main")).to_be_focused()
    expect(field).to_have_value("cat")


def test_a_slash_that_is_typed_into_a_field_stays_there(visit: Visit, album: str) -> None:
    page = visit(album).open("#/tags")
    starts = page.get_by_label("Starts with")
    starts.press_sequentially("a/b")
    expect(starts).to_have_value("a/b")
    expect(starts).to_be_focused()


def test_filters_are_combined_and_kept_by_the_address(visit: Visit, album: str) -> None:
    page = visit(album).open("#/search?q=animal")
    expect(tile(page, "cat.jpg")).to_be_visible()
    filters = page.get_by_role("form", name="Filters")
    filters.get_by_label("Tag", exact=True).fill("egypt")
    expect(filters.locator("datalist option").first).to_have_attribute("value", re.compile("^egypt"))
    filters.get_by_label("Tag", exact=True).fill("egyptian cat")
    filters.get_by_role("button", name="Add filter").click()
    expect(page).to_have_url(re.compile(r"q=animal&tag=egyptian\+cat$"))
    expect(tile(page, "cat.jpg")).to_be_visible()
    expect(tile(page, "coffee.jpg")).to_have_count(0)
    filters.get_by_label("Tag", exact=True).fill("espresso")
    filters.get_by_label("Tag", exact=True).press("Enter")
    nothing = page.locator("#view").get_by_text("No image was found. Remove a filter, or search for other words.")
    expect(nothing).to_be_visible()
    page.get_by_role("button", name="Remove the filter espresso").click()
    expect(tile(page, "cat.jpg")).to_be_visible()
    filters.get_by_label("Taken from").fill("1999-01-01")
    expect(page).to_have_url(re.compile(r"after=1999-01-01"))
    expect(nothing).to_be_visible()  # the photographs have no date
    page.go_back()
    expect(tile(page, "cat.jpg")).to_be_visible()
    page.reload()
    expect(tile(page, "cat.jpg")).to_be_visible()
    filters.get_by_label("Tag", exact=True).fill("egyptian cat")
    filters.get_by_label("without it").check()
    filters.get_by_role("button", name="Add filter").click()
    expect(page.get_by_text("not egyptian cat")).to_be_visible()
    expect(tile(page, "cat.jpg")).to_have_count(0)


def test_a_state_lists_its_records(visit: Visit, album: str) -> None:
    visitor = visit(album)
    page = visitor.open()
    visitor.drop(("broken state.png", photograph("chelsea.png")[:20_000]))
    expect(visitor.card("broken state.png")).to_have_attribute("data-state", "failed")
    page.goto(f"{album}/#/search?q=cat")
    page.get_by_label("State", exact=True).select_option("Failed")
    expect(page.get_by_role("heading", name="Failed images")).to_be_visible()
    expect(page.locator(f"#view {FOUND}[data-state=failed]").first).to_be_visible()
    expect(page.locator(f"#view {FOUND}[data-state=done]")).to_have_count(0)


def test_more_is_loaded_by_the_cursor_and_an_old_cursor_says_what_to_do(visit: Visit, album: str) -> None:
    visitor = visit(album)
    visitor.refusals_expected = True
    page = visitor.open()
    page.route(
        re.compile(r"limit=48"), lambda route: route.continue_(url=route.request.url.replace("limit=48", "limit=2"))
    )
    page.goto(f"{album}/#/search?q=cat")
    expect(page.locator(f"#view {FOUND}")).to_have_count(2)
    more = page.get_by_role("button", name="Show more")
    more.click()
    expect(page.locator(f"#view {FOUND}")).to_have_count(4)
    expect(page.locator(f"#view {FOUND} .look").nth(2)).to_be_focused()
    page.route(
        re.compile("cursor="),
        lambda route: route.continue_(url=re.sub("cursor=[^&]*", f"cursor={'0' * 32}-4", route.request.url)),
    )
    more.click()
    expect(page.get_by_text("Search again.")).to_be_visible()


def test_every_image_leads_to_more_like_it(visit: Visit, album: str) -> None:
    page = visit(album).open("#/search?q=cat")
    tile(page, "cat.jpg").get_by_role("link", name="More like this").click()
    expect(page.get_by_role("heading", name="More like cat.jpg")).to_be_visible()
    # the cat itself, or another file with its bytes
    expect(page.locator(f"#view {FOUND} .why").first).to_have_text(re.compile(r"^Similarity (1\.00|0\.99)"))
    expect(tile(page, "cat darker.jpg").locator(".why")).to_have_text(re.compile(r"^Similarity [01]\.\d\d"))
    page.go_back()
    expect(page.get_by_role("heading", name="Images for “cat”")).to_be_visible()


def test_an_image_that_cannot_be_compared_says_what_to_do(visit: Visit, album: str) -> None:
    visitor = visit(album)
    visitor.refusals_expected = True
    page = visitor.open("#/search?like=album/none.jpg")
    expect(page.get_by_text("has no record. Open the image and tag it again, then search again.")).to_be_visible()
    expect(page.get_by_role("button", name="Search again")).to_be_visible()


def test_an_image_on_the_search_field_is_searched_by_and_not_uploaded(visit: Visit, album: str) -> None:
    visitor = visit(album)
    page = visitor.open()
    visitor.drop_on(DROP, ("mine.png", photograph("rocket.jpg")))
    expect(page.get_by_role("heading", name="Images like yours")).to_be_visible()
    expect(tile(page, "rocket.jpg")).to_be_visible()
    expect(page.locator(".card")).to_have_count(0)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="By image").click()
    chooser.value.set_files({"name": "c.png", "mimeType": "image/png", "buffer": photograph("coffee.png")})
    expect(page.locator(f"#view {FOUND} .look").first).to_have_accessible_name(
        re.compile(
            "coffee|Käffchen|image.png|Uploaded|slow list|<img src=x"
        )  # other tests upload the same photograph
    )
    page.reload()
    expect(page.get_by_text("The image of this search is not kept.")).to_be_visible()


def test_names_and_queries_that_look_like_markup_stay_text(visit: Visit, album: str) -> None:
    page = visit(album).open(f"#/search?q={quote(HOSTILE)}&not_tag={quote('<b>x</b>')}")
    expect(page.get_by_role("heading", name=f"Images for “{HOSTILE}”")).to_be_visible()
    expect(page.get_by_text("not <b>x</b>")).to_be_visible()
    expect(page.locator("#view .found .look", has_text=HOSTILE)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_without_a_question_it_says_what_can_be_asked(visit: Visit, album: str) -> None:
    page = visit(album).open("#/search")
    expect(page.get_by_text("Type what the images show")).to_be_visible()
