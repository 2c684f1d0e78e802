from __future__ import annotations

from tools.site_pictures import in_site, picture


def test_a_picture_of_a_document_is_two_images_in_the_site_of_which_one_is_shown() -> None:
    text = "before\n\n" + picture("a/light.svg", "a/dark.svg", "calls: 1") + "\nbehind\n"
    assert in_site(text) == (
        "before\n\n"
        "```{image} a/light.svg\n:alt: calls: 1\n:class: only-light\n```\n\n"
        "```{image} a/dark.svg\n:alt: calls: 1\n:class: only-dark\n```\n"
        "\nbehind\n"
    )


def test_other_text_is_left_as_it_is() -> None:
    assert in_site("<picture>\nand more\n") == "<picture>\nand more\n"
