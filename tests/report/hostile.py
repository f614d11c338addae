"""Texts that must stay text wherever they are shown."""

HOSTILE = (
    "</td><script>alert(1)</script>", "a|b", "`x`", "[c](javascript:alert(1))", "![x](http://evil.example/x.png)",
    "x\n---\nlicense: mit", "\u202eexe.txt", "<img src=x onerror=alert(1)>", "$(rm -rf)", "\x1b[31mred", "~~~\n# h",
    "www.evil.example", "@user #1", "&lt;script&gt;", "$$x$$", "# head", "1. list", "- item", "_a_ *b*",
    "https://evil.example", "\\", "***", "---", "a\r\nb", "</details></summary><svg onload=alert(1)>", "```\nx\n```",
    "{{ 7 * 191 }}", "{% raw %}", "]]><x>", "--><script>alert(2)</script>", "<!-- archiver: inventory -->", "'\"%x",
)  # fmt: skip
