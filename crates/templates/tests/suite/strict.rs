//! What Handlebars in strict mode lets through, and what it refuses: where it is `lint` that must look.

use crate::support::{input, map, template};
use serde_json::json;
use stentor_templates::RenderError;

fn write(body: &str) -> Result<String, RenderError> {
    let data = map(json!({
        "text": "t", "zero": 0, "empty": "", "nothing": null, "list": [1, 2], "none": [], "object": {"a": 1}, "yes": true,
    }));
    template("title = \"t\"", body).render_inbox(&input(&data)).map(|item| item.content.body_text)
}

#[test]
fn conditions_take_what_is_absent_for_false() {
    for (body, written) in [
        ("{{#if absent}}1{{else}}2{{/if}}", "2"),
        ("{{#if object.absent.deeper}}1{{else}}2{{/if}}", "2"),
        ("{{#unless absent}}1{{/unless}}", "1"),
        ("{{#if text}}1{{else if absent}}2{{/if}}", "1"),
        ("{{#each absent}}1{{else}}2{{/each}}", "2"),
        ("{{#with absent}}1{{else}}2{{/with}}", "2"),
        ("{{#if (and yes absent)}}1{{else}}2{{/if}}", "2"),
        ("{{#if (or absent yes)}}1{{/if}}", "1"),
    ] {
        assert_eq!(write(body).unwrap(), written, "{body}");
    }
}

#[test]
fn whatever_is_written_compared_or_entered_must_be_there() {
    for body in [
        "{{absent}}",
        "{{object.absent}}",
        "{{text.absent}}",
        "{{../absent}}",
        "{{this.absent}}",
        "{{@root.absent}}",
        "{{lookup object \"absent\"}}",
        "{{lookup list 7}}",
        "{{lookup absent \"a\"}}",
        "{{#each absent}}x{{/each}}",
        "{{#with absent}}x{{/with}}",
        "{{#with empty}}x{{/with}}",
        "{{#each list}}{{absent}}{{/each}}",
        "{{#if (eq absent 1)}}x{{/if}}",
        "{{#if (not absent)}}x{{/if}}",
        "{{#if (gt absent 1)}}x{{/if}}",
        "{{len absent}}",
        "{{money absent}}",
        "{{phone absent}}",
        "{{t \"key\" n=absent}}",
    ] {
        let result = write(body);
        assert!(matches!(result, Err(RenderError::MissingVariable { .. })), "{body}: {result:?}");
    }
}

#[test]
fn values_are_written_as_people_would_expect() {
    for (body, written) in [
        ("{{zero}}", "0"),
        ("{{nothing}}", ""),
        ("{{yes}}", "true"),
        ("{{list}}", "[1, 2]"),
        ("{{#if zero}}1{{else}}2{{/if}}", "2"),
        ("{{#if none}}1{{else}}2{{/if}}", "2"),
        ("{{#if nothing}}1{{else}}2{{/if}}", "2"),
        ("{{#each none}}x{{else}}none{{/each}}", "none"),
        ("{{#each object}}{{@key}}={{this}}{{/each}}", "a=1"),
        ("{{#each list}}{{#unless @first}}, {{/unless}}{{this}}{{/each}}", "1, 2"),
        ("{{#each list as |n i|}}{{i}}:{{n}} {{/each}}", "0:1 1:2"),
        ("{{#with object as |o|}}{{o.a}}{{/with}}", "1"),
        ("{{list.1}}", "2"),
        ("{{#if (and yes text)}}1{{/if}}{{#if (or empty zero)}}2{{/if}}", "1"),
    ] {
        assert_eq!(write(body).unwrap(), written, "{body}");
    }
}
